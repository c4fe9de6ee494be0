// Batch norm: y = relu((x - mean) scale + bias + residual), where scale = weight / sqrt(variance + epsilon).

template <int V>
static __device__ void NAME(moment_strips_by, SUFFIX)(const T *x, integer rows, integer channels, integer strips, A *sums) {
    const Pack<T, V> first = read<V>(x + THREAD % (channels / V) * V);
    Pack<A, V> sum = {}, squares = {};
    FOR_ROWS(V) {
        const Pack<T, V> pixel = read<V>(x + row * channels + c);
        for (int i = 0; i < V; i++) {
            const A from_shift = number(pixel.at[i]) - number(first.at[i]);
            sum.at[i] += from_shift;
            squares.at[i] += from_shift * from_shift;
        }
    }
    write<V>(sums + strip * 2 * channels + c, sum);
    write<V>(sums + strip * 2 * channels + channels + c, squares);
}
// sums[strip][2][channel]: of x - shift and of its square. The shift is the first row: sums of squares of numbers far
// from zero would lose the variance.
KERNEL(moment_strips)(const T *x, integer rows, integer channels, integer strips, integer wide, A *sums) {
    if (wide) NAME(moment_strips_by, SUFFIX)<WIDE>(x, rows, channels, strips, sums);
    else NAME(moment_strips_by, SUFFIX)<1>(x, rows, channels, strips, sums);
}
EXPORT(moment_strips)

// Mean and biased variance. With running statistics (or null) moves them, with the unbiased variance.
KERNEL(moments)(const double *folded, integer folds, const T *x, integer rows, integer channels, A *mean, A *variance,
                A *running_mean, A *running_variance, address *tracked, double momentum) {
    const integer c = THREAD;
    if (c >= channels) return;
    double sum = 0, squares = 0;
    for (integer fold = 0; fold < folds; fold++) {
        sum += folded[fold * 2 * channels + c];
        squares += folded[fold * 2 * channels + channels + c];
    }
    const double from_shift = sum / rows, m = number(x[c]) + from_shift;
    double v = squares / rows - from_shift * from_shift;
    // Not below zero by rounding; NaN stays.
    if (v < 0) v = 0;
    mean[c] = (A)m;
    variance[c] = (A)v;
    if (running_mean) {
        running_mean[c] = (A)((1 - momentum) * running_mean[c] + momentum * m);
        running_variance[c] = (A)((1 - momentum) * running_variance[c] + momentum * v * ((double)rows / (rows - 1)));
        if (c == 0) *tracked += 1;
    }
}
EXPORT(moments)

// factors[3][channel]: mean, scale, bias. A root for each element would take longer than its way to memory.
KERNEL(norm_factors)(const A *mean, const A *variance, const A *weight, const A *bias, A *factors, integer channels,
                     double epsilon) {
    const integer c = THREAD;
    if (c >= channels) return;
    factors[c] = mean[c];
    factors[channels + c] = weight[c] / sqrt(variance[c] + (A)epsilon);
    factors[2 * channels + c] = bias[c];
}
EXPORT(norm_factors)

template <int V>
static __device__ void NAME(norm_by, SUFFIX)(const T *x, const A *factors, const T *residual, T *y, integer elements,
                                             integer channels, integer relu) {
    const integer at = THREAD * V, c = at % channels;
    if (at >= elements) return;
    const Pack<T, V> pixel = read<V>(x + at);
    const Pack<A, V> mean = read<V>(factors + c), scale = read<V>(factors + channels + c);
    const Pack<A, V> bias = read<V>(factors + 2 * channels + c);
    Pack<T, V> other = {}, result;
    if (residual) other = read<V>(residual + at);
    for (int i = 0; i < V; i++) {
        A value = (number(pixel.at[i]) - mean.at[i]) * scale.at[i] + bias.at[i];
        if (residual) value += number(other.at[i]);
        put(result.at[i], relu && value < 0 ? 0 : value);
    }
    write<V>(y + at, result);
}
KERNEL(norm)(const T *x, const A *factors, const T *residual, T *y, integer elements, integer channels, integer relu,
             integer wide) {
    if (wide) NAME(norm_by, SUFFIX)<WIDE>(x, factors, residual, y, elements, channels, relu);
    else NAME(norm_by, SUFFIX)<1>(x, factors, residual, y, elements, channels, relu);
}
EXPORT(norm)

// What the ReLU lets through of the gradient, and x - mean. What it cut off is computed anew, as `norm` does.
template <int V>
static __device__ inline void NAME(through, SUFFIX)(const T *x, const Pack<A, V> &mean, const Pack<A, V> &scale,
                                                    const Pack<A, V> &bias, const T *residual, const T *dy, integer at,
                                                    integer relu, A *passed, A *centred) {
    const Pack<T, V> pixel = read<V>(x + at), gradient = read<V>(dy + at);
    Pack<T, V> other = {};
    if (relu && residual) other = read<V>(residual + at);
    for (int i = 0; i < V; i++) {
        centred[i] = number(pixel.at[i]) - mean.at[i];
        A value = centred[i] * scale.at[i] + bias.at[i];
        if (relu && residual) value += number(other.at[i]);
        passed[i] = relu && !(value > 0) ? 0 : number(gradient.at[i]);
    }
}

template <int V>
static __device__ void NAME(norm_strips_by, SUFFIX)(const T *x, const A *factors, const T *residual, const T *dy,
                                                    integer rows, integer channels, integer strips, integer relu,
                                                    A *sums) {
    const integer mine = THREAD % (channels / V) * V;
    const Pack<A, V> mean = read<V>(factors + mine), scale = read<V>(factors + channels + mine);
    const Pack<A, V> bias = read<V>(factors + 2 * channels + mine);
    Pack<A, V> shifts = {}, products = {};
    A passed[V], centred[V];
    FOR_ROWS(V) {
        NAME(through, SUFFIX)<V>(x, mean, scale, bias, residual, dy, row * channels + c, relu, passed, centred);
        for (int i = 0; i < V; i++) {
            shifts.at[i] += passed[i];
            products.at[i] += passed[i] * centred[i];
        }
    }
    write<V>(sums + strip * 2 * channels + c, shifts);
    write<V>(sums + strip * 2 * channels + channels + c, products);
}
// sums[strip][2][channel]: of what passes the ReLU, and of that times x - mean.
KERNEL(norm_strips)(const T *x, const A *factors, const T *residual, const T *dy, integer rows, integer channels,
                    integer strips, integer relu, integer wide, A *sums) {
    if (wide) NAME(norm_strips_by, SUFFIX)<WIDE>(x, factors, residual, dy, rows, channels, strips, relu, sums);
    else NAME(norm_strips_by, SUFFIX)<1>(x, factors, residual, dy, rows, channels, strips, relu, sums);
}
EXPORT(norm_strips)

// gradients[2][channel]: of bias and weight; slopes[2][channel]: what the moments add to dx for each x - mean, and in
// any case. With `batch` the moments are those of x and move with it, else they add nothing.
KERNEL(norm_slopes)(const double *folded, integer folds, const A *variance, const A *weight, A *gradients, A *slopes,
                    integer rows, integer channels, integer batch, double epsilon) {
    const integer c = THREAD;
    if (c >= channels) return;
    double shift = 0, product = 0;
    for (integer fold = 0; fold < folds; fold++) {
        shift += folded[fold * 2 * channels + c];
        product += folded[fold * 2 * channels + channels + c];
    }
    const double inverse = 1 / sqrt((double)(variance[c] + (A)epsilon)), scale = weight[c] * inverse;
    gradients[c] = (A)shift;
    gradients[channels + c] = (A)(product * inverse);
    slopes[c] = batch ? (A)(-scale * inverse * inverse * product / rows) : 0;
    slopes[channels + c] = batch ? (A)(-scale * shift / rows) : 0;
}
EXPORT(norm_slopes)

template <int V>
static __device__ void NAME(norm_backward_by, SUFFIX)(const T *x, const A *factors, const A *slopes, const T *residual,
                                                      const T *dy, T *dx, T *d_residual, integer elements,
                                                      integer channels, integer relu) {
    const integer at = THREAD * V, c = at % channels;
    if (at >= elements) return;
    const Pack<A, V> mean = read<V>(factors + c), scale = read<V>(factors + channels + c);
    const Pack<A, V> bias = read<V>(factors + 2 * channels + c);
    const Pack<A, V> slope = read<V>(slopes + c), constant = read<V>(slopes + channels + c);
    A passed[V], centred[V];
    NAME(through, SUFFIX)<V>(x, mean, scale, bias, residual, dy, at, relu, passed, centred);
    Pack<T, V> result, rest;
    for (int i = 0; i < V; i++) {
        put(result.at[i], passed[i] * scale.at[i] + (centred[i] * slope.at[i] + constant.at[i]));
        put(rest.at[i], passed[i]);
    }
    write<V>(dx + at, result);
    if (d_residual) write<V>(d_residual + at, rest);
}
KERNEL(norm_backward)(const T *x, const A *factors, const A *slopes, const T *residual, const T *dy, T *dx, T *d_residual,
                      integer elements, integer channels, integer relu, integer wide) {
    if (wide)
        NAME(norm_backward_by, SUFFIX)<WIDE>(x, factors, slopes, residual, dy, dx, d_residual, elements, channels, relu);
    else
        NAME(norm_backward_by, SUFFIX)<1>(x, factors, slopes, residual, dy, dx, d_residual, elements, channels, relu);
}
EXPORT(norm_backward)
