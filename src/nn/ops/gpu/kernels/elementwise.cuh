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
