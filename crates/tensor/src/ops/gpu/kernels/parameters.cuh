// All parameters at once. A row of the table: addresses of value, gradient and two slots, the number of elements before
// this tensor's (the last row holds their total), and whether weight decay applies. In PyTorch's order of operations.

#undef ROW
#define ROW 6
#undef OWN
#define OWN                                                                        \
    integer low = 0, high = tensors;                                               \
    while (high - low > 1) {                                                       \
        const integer middle = (low + high) / 2;                                   \
        if (table[middle * ROW + 4] <= at) low = middle;                           \
        else high = middle;                                                        \
    }                                                                              \
    const address *row = table + low * ROW, i = at - row[4];

// With rates, LARS: rate and weight decay of each tensor.
KERNEL(sgd)(const address *table, integer tensors, integer elements, double learning_rate, double momentum,
            integer nesterov, double scale, double weight_decay, const double *rates) {
    const integer at = THREAD;
    if (at >= elements) return;
    OWN
    const double rate = rates ? rates[low * 2] : 1, decay = rates ? rates[low * 2 + 1] : row[5] ? weight_decay : 0;
    A *value = (A *)row[0] + i, *velocity = (A *)row[2] + i;
    const A gradient = (A)rate * ((A)scale * ((const A *)row[1])[i] + (A)decay * *value);
    *velocity = *velocity * (A)momentum + gradient;
    *value -= (A)learning_rate * (nesterov ? gradient + (A)momentum * *velocity : *velocity);
}
EXPORT(sgd)

KERNEL(adam)(const address *table, integer tensors, integer elements, double step_size, double root_of_correction,
             double beta_1, double beta_2, double epsilon, double scale, double weight_decay, double shrink) {
    const integer at = THREAD;
    if (at >= elements) return;
    OWN
    A *value = (A *)row[0] + i, *first = (A *)row[2] + i, *second = (A *)row[3] + i;
    const A gradient = (A)scale * ((const A *)row[1])[i] + (A)(row[5] ? weight_decay : 0) * *value;
    *first += (A)(1 - beta_1) * (gradient - *first);
    *second = *second * (A)beta_2 + (A)(1 - beta_2) * gradient * gradient;
    const A step = (A)step_size * (*first / (sqrt(*second) / (A)root_of_correction + (A)epsilon));
    *value = *value * (A)(row[5] ? shrink : 1) - step;
}
EXPORT(adam)

// sums[strip][tensor]: of the squares of its value and of its gradient.
KERNEL(lars_strips)(const address *table, integer tensors, integer strips, double *sums) {
    const integer tensor = THREAD / strips, strip = THREAD % strips;
    if (tensor >= tensors) return;
    const address *row = table + tensor * ROW;
    const integer count = (integer)(row[ROW + 4] - row[4]);
    double values = 0, gradients = 0;
    for (integer i = strip; i < count; i += strips) {
        const double value = ((const A *)row[0])[i], gradient = ((const A *)row[1])[i];
        values += value * value;
        gradients += gradient * gradient;
    }
    double *sum = sums + (strip * tensors + tensor) * 2;
    sum[0] = values;
    sum[1] = gradients;
}
EXPORT(lars_strips)

// rates[tensor]: LARS's rate and weight decay, from the folded sums. Where a norm is 0 it neither adapts nor decays.
KERNEL(lars_rates)(const address *table, integer tensors, integer folds, const double *folded, double scale,
                   double weight_decay, double trust_coefficient, double epsilon, double *rates) {
    const integer tensor = THREAD;
    if (tensor >= tensors) return;
    double value = 0, gradient = 0;
    for (integer fold = 0; fold < folds; fold++) {
        value += folded[(fold * tensors + tensor) * 2];
        gradient += folded[(fold * tensors + tensor) * 2 + 1];
    }
    value = sqrt(value);
    gradient = scale * sqrt(gradient);
    const bool adapts = table[tensor * ROW + 5] && value != 0 && gradient != 0;
    rates[tensor * 2] = adapts ? value / (gradient + value * weight_decay + epsilon) * trust_coefficient : 1;
    rates[tensor * 2 + 1] = adapts ? weight_decay : 0;
}
EXPORT(lars_rates)

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
