// Element by element.

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

// max(x, 0); NaN stays NaN.
KERNEL(relu)(const T *x, T *y, integer elements) {
    const integer at = THREAD;
    if (at >= elements) return;
    put(y[at], number(x[at]) < 0 ? 0 : number(x[at]));
}
EXPORT(relu)

KERNEL(relu_backward)(const T *x, const T *gradient, T *dx, integer elements) {
    const integer at = THREAD;
    if (at >= elements) return;
    put(dx[at], number(x[at]) <= 0 ? 0 : number(gradient[at]));
}
EXPORT(relu_backward)
