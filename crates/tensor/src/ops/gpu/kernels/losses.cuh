// Losses: one thread a pixel, `ignore` is -1 if no label is ignored.

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
