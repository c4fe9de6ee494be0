// Pixels from 0 to 255 as they come from the host, bytes [batch, area, channels] or, if `planes`, floats
// [batch, channels, area], to what a network is given, [batch, area, 3]: in float32 whatever T is, to the CPU's bits. A
// thread makes the three values of one of `pixels` = batch · area pixels; of one channel it makes three.
KERNEL(normalize)(const void *from, T *out, integer pixels, integer area, integer channels, integer planes,
                  double scale_red, double scale_green, double scale_blue, double shift_red, double shift_green,
                  double shift_blue) {
    const integer at = THREAD;
    if (at >= pixels) return;
    const double scale[3] = {scale_red, scale_green, scale_blue}, shift[3] = {shift_red, shift_green, shift_blue};
    const integer first = planes ? at / area * channels * area + at % area : at * channels;
    const integer step = channels == 1 ? 0 : planes ? area : 1;
    for (integer i = 0; i < 3; i++) {
        const integer place = first + i * step;
        const float value = planes ? ((const float *)from)[place] : (float)((const byte *)from)[place];
        put(out[at * 3 + i], product_and_sum(value, (float)scale[i], (float)shift[i]));
    }
}
EXPORT(normalize)
