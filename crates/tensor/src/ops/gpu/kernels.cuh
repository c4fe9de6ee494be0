// Included by kernels.cu once for each T. Rows are pixels: [rows, channels] is a tensor [batch, height, width, channels].
// `wide` says that all channel counts and places are multiples of WIDE, so that a thread may take WIDE channels at once.

#undef WIDE
#define WIDE ((int)(16 / sizeof(T)))

#include "kernels/sums.cuh"
#include "kernels/batch_norm.cuh"
#include "kernels/convolution.cuh"
#include "kernels/concat.cuh"
#include "kernels/pooling.cuh"
#include "kernels/elementwise.cuh"
#include "kernels/losses.cuh"
#include "kernels/normalize.cuh"
#include "kernels/parameters.cuh"
