"""Exercises of lesson 14: steps for a budget, operations and bytes of a convolution, the roof over a layer."""

import numpy as np

from medlab.classroom.exercises import Attempt, exercise


@exercise
def steps_for_budget(steps_for_budget: Attempt) -> None:
    """Write ``steps_for_budget(seconds, rate, cost, batch)``: whole training steps that fit into so many seconds.

    `rate` are multiply-adds a second, `cost` those of one forward pass of one image, `batch` the images of a step. A
    training step takes three forward passes: forward, gradients of the inputs, gradients of the weights. The answer is
    an int; a step that does not end in time does not count. For 60 s, 10**9 multiply-adds a second, a cost of 10**6
    and batches of 32 it is 625.
    """
    rng = np.random.default_rng(0)
    cases = [(10, 1000, 13, 5), (60, 10**9, 10**6, 32), (1, 10**9, 456_701_440, 128), (60, 10**11, 7_564_352, 64)]
    for _ in range(20):
        seconds, batch = int(rng.integers(1, 600)), int(rng.integers(1, 257))
        cases.append((seconds, int(rng.integers(1, 200)) * 10**9, int(rng.integers(10**6, 5 * 10**8)), batch))
    for seconds, rate, cost, batch in cases:
        operations = seconds * rate
        exact = operations / (3 * cost * batch)
        steps_for_budget.compare(
            steps_for_budget(seconds, rate, cost, batch),
            int(exact),
            {
                "forward_only": int(operations // (cost * batch)),
                "two_passes": int(operations // (2 * cost * batch)),
                "without_batch": int(operations // (3 * cost)),
                "images": int(operations // (3 * cost)) // batch * batch,
                "without_seconds": int(rate // (3 * cost * batch)),
                "rounded": round(exact),
                "rounded_up": -int(-exact // 1),
                "not_whole": exact,
                "six": int(operations // (6 * cost * batch)),
            },
        )


@exercise
def conv_cost(conv_cost: Attempt) -> None:
    """Write ``conv_cost(n, c_in, c_out, side, kernel, size)``: operations and bytes of a convolution, two ints.

    The input are `n` square images of `side` pixels with `c_in` channels, the kernel is a square of `kernel` pixels,
    padding keeps the side, the output has `c_out` channels, and there is no bias. A number takes `size` bytes.
    Operations are multiplications and additions, one each for every product of a kernel; places in the padding count
    like all others. Bytes are those of input, weights and output, each moved once. For n = 1, 3 to 16 channels, side
    28, kernel 3 and 4 bytes a number the answer is ``(677376, 61312)``.
    """
    rng = np.random.default_rng(0)
    cases = [(5, 4, 7, 6, 3, 2), (1, 3, 16, 28, 3, 4), (64, 64, 64, 28, 3, 2), (1, 1, 1, 1, 1, 4)]
    for _ in range(20):
        n, c_in, c_out, side = (int(value) for value in rng.integers(1, 70, 4))
        cases.append((n, c_in, c_out, side, int(rng.choice([1, 3, 5, 7])), int(rng.choice([2, 4, 8]))))
    for n, c_in, c_out, side, kernel, size in cases:
        operations, moved = _pair(conv_cost, conv_cost(n, c_in, c_out, side, kernel, size), "two_numbers")
        given, made, weights = n * c_in * side**2, n * c_out * side**2, c_out * c_in * kernel**2
        products = n * side**2 * weights
        inner = max(side - kernel + 1, 0) ** 2
        conv_cost.case += ", operations"
        conv_cost.compare(
            operations,
            2 * products,
            {
                "multiply_adds": products,
                "one_image": 2 * side**2 * weights,
                "kernel_not_squared": 2 * n * side**2 * c_out * c_in * kernel,
                "side_not_squared": 2 * n * side * weights,
                "one_input_channel": 2 * made * kernel**2,
                "one_output_channel": 2 * given * kernel**2,
                "without_padding": 2 * n * inner * weights,
                "training": 6 * products,
                "swapped": size * (given + made + weights),
            },
        )
        conv_cost.case = conv_cost.case.replace(", operations", ", bytes")
        conv_cost.compare(
            moved,
            size * (given + made + weights),
            {
                "numbers": given + made + weights,
                "no_weights": size * (given + made),
                "no_output": size * (given + weights),
                "no_input": size * (made + weights),
                "weights_per_image": size * (given + made + n * weights),
                "bits": 8 * size * (given + made + weights),
                "always_four": 4 * (given + made + weights),
                "with_bias": size * (given + made + weights + c_out),
                "input_again": size * (kernel**2 * given + made + weights),
            },
        )


@exercise
def roof(roof: Attempt) -> None:
    """Write ``roof(intensity, peak, bandwidth)``: the most operations a second, and what bounds them.

    `intensity` are the operations for each byte moved, `peak` the operations a second of the arithmetic, `bandwidth`
    the bytes a second of the memory. The answer is a float and a text: ``"memory"`` where the memory allows less than
    the peak, else, also at the corner itself, ``"compute"``. With a peak of 100 and a bandwidth of 10, intensity 4
    gives ``(40.0, "memory")`` and intensity 25 gives ``(100.0, "compute")``.
    """
    rng = np.random.default_rng(0)
    cases = [(25, 100, 10), (4, 100, 10), (0.25, 1.2e12, 1.5e10), (288.0, 1.2e12, 1.5e10), (10, 100, 10)]
    for _ in range(20):
        corner = float(10 ** rng.uniform(0, 2))
        bandwidth = float(10 ** rng.uniform(0, 11))
        cases.append((corner * float(10 ** rng.uniform(-1.5, 1.5)), corner * bandwidth, bandwidth))
    for intensity, peak, bandwidth in cases:
        allowed = intensity * bandwidth
        side = "memory" if allowed < peak else "compute"
        reached, bounded = _pair(roof, roof(intensity, peak, bandwidth), "a_pair")
        roof.compare(
            reached,
            float(min(peak, allowed)),
            {
                "always_peak": float(peak),
                "always_memory": float(allowed),
                "divided": float(min(peak, bandwidth / intensity)),
                "inverse": float(min(peak, intensity / bandwidth)),
                "added": float(peak + allowed),
                "bandwidth_alone": float(min(peak, bandwidth)),
            },
        )
        if not isinstance(bounded, str):
            roof.wrong(bounded, 'a text, "memory" or "compute"', "no_text")
        if bounded != side:
            other = "compute" if side == "memory" else "memory"
            roof.wrong(bounded, side, "sides_swapped" if bounded == other else "other_word")


def _pair(attempt: Attempt, told: object, mistake: str) -> tuple:
    if not isinstance(told, tuple | list) or len(told) != 2:
        attempt.wrong(told, "two values: return a, b", mistake if told is not None else "")
    return tuple(told)
