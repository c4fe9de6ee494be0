// Side by side, doubled.

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
