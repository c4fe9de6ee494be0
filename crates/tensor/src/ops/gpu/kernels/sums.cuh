// Sums over rows, in three steps: strips of rows (A), a few strips of strips, and their end (double). Strip s has
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
