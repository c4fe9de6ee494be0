// Pooling.

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

// means[image][channel]. One thread sums a whole image, so in double precision: in float32 the error would grow with the
// square root of the number of pixels.
KERNEL(pool_mean)(const T *x, A *means, integer batch, integer pixels, integer channels) {
    const integer at = THREAD;
    if (at >= batch * channels) return;
    const T *column = x + at / channels * pixels * channels + at % channels;
    double sum = 0;
    for (integer pixel = 0; pixel < pixels; pixel++) sum += number(column[pixel * channels]);
    means[at] = (A)(sum / pixels);
}
EXPORT(pool_mean)

KERNEL(pool_mean_backward)(const A *gradient, T *dx, integer elements, integer pixels, integer channels) {
    const integer at = THREAD;
    if (at >= elements) return;
    put(dx[at], gradient[at / channels / pixels * channels + at % channels] / (A)pixels);
}
EXPORT(pool_mean_backward)
