// Included by kernels.cu once for each T. Rows are pixels: [rows, channels] is a tensor [batch, height, width, channels].
// `wide` says that all channel counts and places are multiples of WIDE, so that a thread may take WIDE channels at once.

#undef WIDE
#define WIDE ((int)(16 / sizeof(T)))

// ---- Sums over rows, in three steps: strips of rows (A), a few strips of strips, and their end (double). Strip s has
// rows s, s + strips, …: neighbouring threads read neighbouring memory.

#undef FOR_ROWS
#define FOR_ROWS(V)                                                                     \
    const integer groups = channels / V, strip = THREAD / groups, c = THREAD % groups * V; \
    if (strip >= strips) return;                                                        \
    for (integer row = strip; row < rows; row += strips)

template <int V>
static __device__ void NAME(column_strips_by, SUFFIX)(const T *x, integer rows, integer channels, integer strips, A *sums) {
    Pack<A, V> sum = {};
    FOR_ROWS(V) {
        const Pack<T, V> pixel = read<V>(x + row * channels + c);
        for (int i = 0; i < V; i++) sum.at[i] += number(pixel.at[i]);
    }
    write<V>(sums + strip * channels + c, sum);
}
// sums[strip][channel]: of x.
KERNEL(column_strips)(const T *x, integer rows, integer channels, integer strips, integer wide, A *sums) {
    if (wide) NAME(column_strips_by, SUFFIX)<WIDE>(x, rows, channels, strips, sums);
    else NAME(column_strips_by, SUFFIX)<1>(x, rows, channels, strips, sums);
}
EXPORT(column_strips)

// folded[fold][column] of strips[strip][column].
KERNEL(fold)(const A *sums, integer strips, integer columns, integer folds, double *folded) {
    const integer fold = THREAD / columns, column = THREAD % columns;
    if (fold >= folds) return;
    double sum = 0;
    for (integer strip = fold; strip < strips; strip += folds) sum += sums[strip * columns + column];
    folded[fold * columns + column] = sum;
}
EXPORT(fold)

// The end of a sum: total[column].
KERNEL(column_sums)(const double *folded, integer folds, integer columns, A *total) {
    const integer column = THREAD;
    if (column >= columns) return;
    double sum = 0;
    for (integer fold = 0; fold < folds; fold++) sum += folded[fold * columns + column];
    total[column] = (A)sum;
}
EXPORT(column_sums)

// ---- Batch norm: y = relu((x - mean) scale + bias + residual), where scale = weight / sqrt(variance + epsilon).

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

// ---- Around convolutions.

// y = relu(y + bias + residual), in place; bias and residual may be null.
KERNEL(epilogue)(T *y, const A *bias, const T *residual, integer elements, integer channels, integer relu) {
    const integer at = THREAD;
    if (at >= elements) return;
    A value = number(y[at]);
    if (bias) value += bias[at % channels];
    if (residual) value += number(residual[at]);
    put(y[at], relu && value < 0 ? 0 : value);
}
EXPORT(epilogue)

// [taps, in, out] of A to cuDNN's [out, taps, in] of T.
KERNEL(to_filter)(const A *weight, T *filter, integer taps, integer in, integer out) {
    const integer at = THREAD;
    if (at >= out * taps * in) return;
    const integer o = at / (taps * in), rest = at % (taps * in);
    put(filter[at], weight[rest * out + o]);
}
EXPORT(to_filter)

// And back.
KERNEL(from_filter)(const T *filter, A *weight, integer taps, integer in, integer out) {
    const integer at = THREAD;
    if (at >= taps * in * out) return;
    weight[at] = number(filter[at % out * taps * in + at / out]);
}
EXPORT(from_filter)

// Convolutions without cuDNN, for float64, which serves for checks: one thread an output. Weights are [kh, kw, in, out].
#undef SIZES
#define SIZES                                                                                                    \
    integer batch, integer height, integer width, integer in, integer out_height, integer out_width, integer out, \
        integer kernel_h, integer kernel_w, integer stride, integer padding, integer dilation

KERNEL(direct_forward)(const T *x, const A *weight, T *y, SIZES) {
    const integer at = THREAD;
    if (at >= batch * out_height * out_width * out) return;
    const integer o = at % out, ox = at / out % out_width, oy = at / out / out_width % out_height;
    const integer image = at / out / out_width / out_height;
    A sum = 0;
    for (integer ky = 0; ky < kernel_h; ky++)
        for (integer kx = 0; kx < kernel_w; kx++) {
            const integer iy = oy * stride + ky * dilation - padding, ix = ox * stride + kx * dilation - padding;
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            const T *pixel = x + ((image * height + iy) * width + ix) * in;
            const A *row = weight + (ky * kernel_w + kx) * in * out + o;
            for (integer i = 0; i < in; i++) sum += number(pixel[i]) * row[i * out];
        }
    put(y[at], sum);
}
EXPORT(direct_forward)

KERNEL(direct_data)(const T *dy, const A *weight, T *dx, SIZES) {
    const integer at = THREAD;
    if (at >= batch * height * width * in) return;
    const integer i = at % in, ix = at / in % width, iy = at / in / width % height, image = at / in / width / height;
    A sum = 0;
    for (integer ky = 0; ky < kernel_h; ky++)
        for (integer kx = 0; kx < kernel_w; kx++) {
            const integer up = iy + padding - ky * dilation, left = ix + padding - kx * dilation;
            if (up < 0 || left < 0 || up % stride || left % stride) continue;
            if (up / stride >= out_height || left / stride >= out_width) continue;
            const T *pixel = dy + ((image * out_height + up / stride) * out_width + left / stride) * out;
            const A *row = weight + ((ky * kernel_w + kx) * in + i) * out;
            for (integer o = 0; o < out; o++) sum += number(pixel[o]) * row[o];
        }
    put(dx[at], sum);
}
EXPORT(direct_data)

KERNEL(direct_weight)(const T *x, const T *dy, A *dw, SIZES) {
    const integer at = THREAD;
    if (at >= kernel_h * kernel_w * in * out) return;
    const integer o = at % out, i = at / out % in, kx = at / out / in % kernel_w, ky = at / out / in / kernel_w;
    A sum = 0;
    for (integer image = 0; image < batch; image++)
        for (integer oy = 0; oy < out_height; oy++)
            for (integer ox = 0; ox < out_width; ox++) {
                const integer iy = oy * stride + ky * dilation - padding, ix = ox * stride + kx * dilation - padding;
                if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
                sum += number(x[((image * height + iy) * width + ix) * in + i]) *
                       number(dy[((image * out_height + oy) * out_width + ox) * out + o]);
            }
    dw[at] = sum;
}
EXPORT(direct_weight)

// ---- Side by side, doubled.

template <int V>
static __device__ void NAME(join_by, SUFFIX)(const T *x, T *y, integer pixels, integer height, integer width,
                                             integer channels, integer total, integer first, integer scale) {
    const integer groups = channels / V, pixel = THREAD / groups, c = THREAD % groups * V;
    if (pixel >= pixels) return;
    const integer column = pixel % width, row = pixel / width % height, image = pixel / width / height;
    const integer from = (image * (height / scale) + row / scale) * (width / scale) + column / scale;
    write<V>(y + pixel * total + first + c, read<V>(x + from * channels + c));
}
// Writes x as channels first.. of y [.., height, width, total]; with scale 2 every pixel four times.
KERNEL(join)(const T *x, T *y, integer pixels, integer height, integer width, integer channels, integer total,
             integer first, integer scale, integer wide) {
    if (wide) NAME(join_by, SUFFIX)<WIDE>(x, y, pixels, height, width, channels, total, first, scale);
    else NAME(join_by, SUFFIX)<1>(x, y, pixels, height, width, channels, total, first, scale);
}
EXPORT(join)

template <int V>
static __device__ void NAME(part_by, SUFFIX)(const T *dy, T *dx, integer pixels, integer height, integer width,
                                             integer channels, integer total, integer first, integer scale) {
    const integer groups = channels / V, pixel = THREAD / groups, c = THREAD % groups * V;
    if (pixel >= pixels) return;
    const integer column = pixel % width, row = pixel / width % height, image = pixel / width / height;
    A sum[V] = {};
    for (integer y = 0; y < scale; y++)
        for (integer x = 0; x < scale; x++) {
            const integer from = (image * height * scale + row * scale + y) * width * scale + column * scale + x;
            const Pack<T, V> part = read<V>(dy + from * total + first + c);
            for (int i = 0; i < V; i++) sum[i] += number(part.at[i]);
        }
    Pack<T, V> result;
    for (int i = 0; i < V; i++) put(result.at[i], sum[i]);
    write<V>(dx + pixel * channels + c, result);
}
// The transpose of join: dx [.., height, width, channels].
KERNEL(part)(const T *dy, T *dx, integer pixels, integer height, integer width, integer channels, integer total,
             integer first, integer scale, integer wide) {
    if (wide) NAME(part_by, SUFFIX)<WIDE>(dy, dx, pixels, height, width, channels, total, first, scale);
    else NAME(part_by, SUFFIX)<1>(dy, dx, pixels, height, width, channels, total, first, scale);
}
EXPORT(part)

// Bilinear: y[r][c] = sum over taps of row r and column c. Taps of place p: indices and weights from start[p] to
// start[p + 1].
KERNEL(resample)(const T *x, T *y, integer elements, integer height, integer width, integer channels, integer out_height,
                 integer out_width, const address *row_start, const address *row_index, const double *row_weight,
                 const address *column_start, const address *column_index, const double *column_weight) {
    const integer at = THREAD;
    if (at >= elements) return;
    const integer c = at % channels, column = at / channels % out_width, row = at / channels / out_width % out_height;
    const T *image = x + at / channels / out_width / out_height * height * width * channels;
    A sum = 0;
    for (address i = row_start[row]; i < row_start[row + 1]; i++) {
        A line = 0;
        for (address j = column_start[column]; j < column_start[column + 1]; j++)
            line += (A)column_weight[j] * number(image[(row_index[i] * width + column_index[j]) * channels + c]);
        sum += (A)row_weight[i] * line;
    }
    put(y[at], sum);
}
EXPORT(resample)

// ---- Pooling.

// The first of equal maxima wins, and NaN does.
KERNEL(max_pool)(const T *x, T *y, byte *taps, integer elements, integer height, integer width, integer channels,
                 integer out_height, integer out_width, integer kernel, integer stride, integer padding) {
    const integer at = THREAD;
    if (at >= elements) return;
    const integer c = at % channels, ox = at / channels % out_width, oy = at / channels / out_width % out_height;
    const integer image = at / channels / out_width / out_height;
    A most = 0;
    integer winner = -1;
    for (integer ky = 0; ky < kernel; ky++)
        for (integer kx = 0; kx < kernel; kx++) {
            const integer iy = oy * stride + ky - padding, ix = ox * stride + kx - padding;
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            const A value = number(x[((image * height + iy) * width + ix) * channels + c]);
            if (winner < 0 || value > most || value != value) {
                most = value;
                winner = ky * kernel + kx;
            }
        }
    put(y[at], most);
    taps[at] = (byte)winner;
}
EXPORT(max_pool)

KERNEL(max_pool_backward)(const T *dy, const byte *taps, T *dx, integer elements, integer height, integer width,
                          integer channels, integer out_height, integer out_width, integer kernel, integer stride,
                          integer padding) {
    const integer at = THREAD;
    if (at >= elements) return;
    const integer c = at % channels, ix = at / channels % width, iy = at / channels / width % height;
    const integer image = at / channels / width / height;
    // The windows that reach this pixel.
    const integer below = iy + padding, right = ix + padding;
    const integer first_y = below < kernel ? 0 : (below - kernel) / stride + 1;
    const integer first_x = right < kernel ? 0 : (right - kernel) / stride + 1;
    A sum = 0;
    for (integer oy = first_y; oy < out_height && oy * stride <= below; oy++)
        for (integer ox = first_x; ox < out_width && ox * stride <= right; ox++) {
            const integer from = ((image * out_height + oy) * out_width + ox) * channels + c;
            if (taps[from] == (below - oy * stride) * kernel + right - ox * stride) sum += number(dy[from]);
        }
    put(dx[at], sum);
}
EXPORT(max_pool_backward)

// means[image][channel].
KERNEL(pool_mean)(const T *x, A *means, integer batch, integer pixels, integer channels) {
    const integer at = THREAD;
    if (at >= batch * channels) return;
    const T *column = x + at / channels * pixels * channels + at % channels;
    A sum = 0;
    for (integer pixel = 0; pixel < pixels; pixel++) sum += number(column[pixel * channels]);
    means[at] = sum / (A)pixels;
}
EXPORT(pool_mean)

KERNEL(pool_mean_backward)(const A *gradient, T *dx, integer elements, integer pixels, integer channels) {
    const integer at = THREAD;
    if (at >= elements) return;
    put(dx[at], gradient[at / channels / pixels * channels + at % channels] / (A)pixels);
}
EXPORT(pool_mean_backward)

// ---- Element by element.

template <int V> static __device__ void NAME(add_by, SUFFIX)(const T *a, const T *b, T *sum, integer elements) {
    const integer at = THREAD * V;
    if (at >= elements) return;
    const Pack<T, V> x = read<V>(a + at), y = read<V>(b + at);
    Pack<T, V> result;
    for (int i = 0; i < V; i++) put(result.at[i], number(x.at[i]) + number(y.at[i]));
    write<V>(sum + at, result);
}
KERNEL(add)(const T *a, const T *b, T *sum, integer elements, integer wide) {
    if (wide) NAME(add_by, SUFFIX)<WIDE>(a, b, sum, elements);
    else NAME(add_by, SUFFIX)<1>(a, b, sum, elements);
}
EXPORT(add)

KERNEL(add_bias)(T *y, const A *bias, integer elements, integer channels) {
    const integer at = THREAD;
    if (at < elements) put(y[at], number(y[at]) + bias[at % channels]);
}
EXPORT(add_bias)

// ---- Losses: one thread a pixel, `ignore` is -1 if no label is ignored.

KERNEL(softmax)(const T *logits, A *probabilities, integer pixels, integer classes) {
    const integer pixel = THREAD;
    if (pixel >= pixels) return;
    const T *z = logits + pixel * classes;
    A *p = probabilities + pixel * classes, most = number(z[0]), sum = 0;
    for (integer i = 1; i < classes; i++) most = number(z[i]) > most ? number(z[i]) : most;
    for (integer i = 0; i < classes; i++) sum += p[i] = exp(number(z[i]) - most);
    for (integer i = 0; i < classes; i++) p[i] /= sum;
}
EXPORT(softmax)

// sums[strip][2][class]: of the probability, and of it where the label is the class.
KERNEL(dice_strips)(const A *probabilities, const byte *labels, integer pixels, integer classes, integer ignore,
                    integer strips, A *sums) {
    const integer strip = THREAD / classes, k = THREAD % classes;
    if (strip >= strips) return;
    A probability = 0, hit = 0;
    for (integer pixel = strip; pixel < pixels; pixel += strips) {
        if (labels[pixel] == ignore) continue;
        const A p = probabilities[pixel * classes + k];
        probability += p;
        if (labels[pixel] == k) hit += p;
    }
    sums[strip * 2 * classes + k] = probability;
    sums[strip * 2 * classes + classes + k] = hit;
}
EXPORT(dice_strips)

// d loss / d p is base, plus hit where the pixel is of the class; factors[2][class] holds both.
KERNEL(dice_gradient)(const A *probabilities, const byte *labels, const A *factors, T *gradient, integer pixels,
                      integer classes, integer ignore) {
    const integer pixel = THREAD;
    if (pixel >= pixels) return;
    const A *p = probabilities + pixel * classes, *base = factors, *hit = factors + classes;
    T *g = gradient + pixel * classes;
    const integer label = labels[pixel];
    if (label == ignore) {
        for (integer i = 0; i < classes; i++) put(g[i], 0);
        return;
    }
    A mean = p[label] * hit[label];
    for (integer i = 0; i < classes; i++) mean += p[i] * base[i];
    for (integer i = 0; i < classes; i++) put(g[i], p[i] * (base[i] + (i == label ? hit[i] : 0) - mean));
}
EXPORT(dice_gradient)

// Gradient times `scale`, and losses[pixel].
KERNEL(cross_entropy)(const T *logits, const byte *labels, T *gradient, A *losses, integer pixels, integer classes,
                      integer ignore, double scale) {
    const integer pixel = THREAD;
    if (pixel >= pixels) return;
    const T *z = logits + pixel * classes;
    T *g = gradient + pixel * classes;
    const integer label = labels[pixel];
    if (label == ignore) {
        for (integer i = 0; i < classes; i++) put(g[i], 0);
        losses[pixel] = 0;
        return;
    }
    A most = number(z[0]), sum = 0;
    for (integer i = 1; i < classes; i++) most = number(z[i]) > most ? number(z[i]) : most;
    for (integer i = 0; i < classes; i++) sum += exp(number(z[i]) - most);
    losses[pixel] = log(sum) - (number(z[label]) - most);
    for (integer i = 0; i < classes; i++)
        put(g[i], (A)scale * (exp(number(z[i]) - most) / sum - (i == label ? 1 : 0)));
}
EXPORT(cross_entropy)

// ---- All parameters at once. A row of the table: addresses of value, gradient and two slots, and the number of elements
// before this tensor's; the last row holds their total. In PyTorch's order of operations.

#undef OWN
#define OWN                                                                        \
    integer low = 0, high = tensors;                                               \
    while (high - low > 1) {                                                       \
        const integer middle = (low + high) / 2;                                   \
        if (table[middle * 5 + 4] <= at) low = middle;                             \
        else high = middle;                                                        \
    }                                                                              \
    const address *row = table + low * 5, i = at - row[4];

KERNEL(sgd)(const address *table, integer tensors, integer elements, double learning_rate, double momentum,
            double weight_decay) {
    const integer at = THREAD;
    if (at >= elements) return;
    OWN
    A *value = (A *)row[0] + i, *velocity = (A *)row[2] + i;
    const A gradient = ((const A *)row[1])[i] + (A)weight_decay * *value;
    *velocity = *velocity * (A)momentum + gradient;
    *value -= (A)learning_rate * *velocity;
}
EXPORT(sgd)

KERNEL(adam)(const address *table, integer tensors, integer elements, double step_size, double root_of_correction,
             double beta_1, double beta_2, double epsilon, double weight_decay) {
    const integer at = THREAD;
    if (at >= elements) return;
    OWN
    A *value = (A *)row[0] + i, *first = (A *)row[2] + i, *second = (A *)row[3] + i;
    const A gradient = ((const A *)row[1])[i] + (A)weight_decay * *value;
    *first += (A)(1 - beta_1) * (gradient - *first);
    *second = *second * (A)beta_2 + (A)(1 - beta_2) * gradient * gradient;
    *value -= (A)step_size * (*first / (sqrt(*second) / (A)root_of_correction + (A)epsilon));
}
EXPORT(adam)

// sums[strip]: of the squares of all gradients.
KERNEL(square_strips)(const address *table, integer tensors, integer elements, integer strips, double *sums) {
    const integer strip = THREAD;
    if (strip >= strips) return;
    double sum = 0;
    for (integer at = strip; at < elements; at += strips) {
        OWN
        const double gradient = ((const A *)row[1])[i];
        sum += gradient * gradient;
    }
    sums[strip] = sum;
}
EXPORT(square_strips)
