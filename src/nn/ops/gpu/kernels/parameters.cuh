// All parameters at once. A row of the table: addresses of value, gradient and two slots, and the number of elements
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

// A moving average, in the value's place, of what lies in the gradient's.
KERNEL(follow)(const address *table, integer tensors, integer elements, double keep) {
    const integer at = THREAD;
    if (at >= elements) return;
    OWN
    A *average = (A *)row[0] + i;
    *average = *average * (A)keep + ((const A *)row[1])[i] * (A)(1 - keep);
}
EXPORT(follow)

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
