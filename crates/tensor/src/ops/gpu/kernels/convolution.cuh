// Around convolutions.

// y = relu(y + bias + residual), in place; bias and residual may be null. Linear layers add their bias by it, too.
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

// Convolutions without cuDNN: for float64, which serves for checks, and where cuDNN has no algorithm. One thread computes
// an output. Weights are [kh, kw, in, out]. Products and sums are double precision: one thread sums thousands of products.
#undef SIZES
#define SIZES                                                                                                    \
    integer batch, integer height, integer width, integer in, integer out_height, integer out_width, integer out, \
        integer kernel_h, integer kernel_w, integer stride, integer padding, integer dilation

KERNEL(direct_forward)(const T *x, const A *weight, T *y, SIZES) {
    const integer at = THREAD;
    if (at >= batch * out_height * out_width * out) return;
    const integer o = at % out, ox = at / out % out_width, oy = at / out / out_width % out_height;
    const integer image = at / out / out_width / out_height;
    double sum = 0;
    for (integer ky = 0; ky < kernel_h; ky++)
        for (integer kx = 0; kx < kernel_w; kx++) {
            const integer iy = oy * stride + ky * dilation - padding, ix = ox * stride + kx * dilation - padding;
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            const T *pixel = x + ((image * height + iy) * width + ix) * in;
            const A *row = weight + (ky * kernel_w + kx) * in * out + o;
            for (integer i = 0; i < in; i++) sum += (double)number(pixel[i]) * row[i * out];
        }
    put(y[at], (A)sum);
}
EXPORT(direct_forward)

KERNEL(direct_data)(const T *dy, const A *weight, T *dx, SIZES) {
    const integer at = THREAD;
    if (at >= batch * height * width * in) return;
    const integer i = at % in, ix = at / in % width, iy = at / in / width % height, image = at / in / width / height;
    double sum = 0;
    for (integer ky = 0; ky < kernel_h; ky++)
        for (integer kx = 0; kx < kernel_w; kx++) {
            const integer up = iy + padding - ky * dilation, left = ix + padding - kx * dilation;
            if (up < 0 || left < 0 || up % stride || left % stride) continue;
            if (up / stride >= out_height || left / stride >= out_width) continue;
            const T *pixel = dy + ((image * out_height + up / stride) * out_width + left / stride) * out;
            const A *row = weight + ((ky * kernel_w + kx) * in + i) * out;
            for (integer o = 0; o < out; o++) sum += (double)number(pixel[o]) * row[o];
        }
    put(dx[at], (A)sum);
}
EXPORT(direct_data)

KERNEL(direct_weight)(const T *x, const T *dy, A *dw, SIZES) {
    const integer at = THREAD;
    if (at >= kernel_h * kernel_w * in * out) return;
    const integer o = at % out, i = at / out % in, kx = at / out / in % kernel_w, ky = at / out / in / kernel_w;
    double sum = 0;
    for (integer image = 0; image < batch; image++)
        for (integer oy = 0; oy < out_height; oy++)
            for (integer ox = 0; ox < out_width; ox++) {
                const integer iy = oy * stride + ky * dilation - padding, ix = ox * stride + kx * dilation - padding;
                if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
                sum += (double)number(x[((image * height + iy) * width + ix) * in + i]) *
                       number(dy[((image * out_height + oy) * out_width + ox) * out + o]);
            }
    dw[at] = (A)sum;
}
EXPORT(direct_weight)
