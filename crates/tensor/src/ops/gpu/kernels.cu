// The GPU kernels, each for three kinds of numbers. Tensors hold T; statistics, parameters and sums are A.
//
// Compiled by nvcc for the feature `cuda`. A C++ compiler takes the same file for the tests, by way of host.h: then a
// launch is a loop over all threads. That works because no kernel knows of blocks: thread `i` of `n` reads what it
// needs and writes what no other thread writes. So the order of threads changes no bit, on a GPU either.

#ifdef __CUDACC__
#include <cuda_bf16.h>
typedef __nv_bfloat16 bfloat;
#define THREAD ((integer)(blockIdx.x * blockDim.x + threadIdx.x))
#define EXPORT(name)
#else
#include "host.h"
#endif

// Divisions of longer ones would take as long as the memory they find the way to: whoever launches sees to it that
// tensors have fewer elements than this can count.
typedef int integer;
typedef long long address;
typedef unsigned char byte;

static __device__ inline float number(float x) { return x; }
static __device__ inline double number(double x) { return x; }
static __device__ inline void put(float &place, float x) { place = x; }
static __device__ inline void put(double &place, double x) { place = x; }
#ifdef __CUDACC__
static __device__ inline float number(bfloat x) { return __bfloat162float(x); }
static __device__ inline void put(bfloat &place, float x) { place = __float2bfloat16(x); }
#endif

// x · factor + term, rounded twice, as on the CPU: left to itself nvcc rounds such a pair of operations once.
static __device__ inline float product_and_sum(float x, float factor, float term) {
#ifdef __CUDACC__
    return __fadd_rn(__fmul_rn(x, factor), term);
#else
    return x * factor + term;
#endif
}

// V neighbours in memory, read and written at once, or 16 bytes at a time.
template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Pack { T at[V]; };

template <int V, class T> static __device__ inline Pack<T, V> read(const T *from) {
    return *reinterpret_cast<const Pack<T, V> *>(from);
}
template <int V, class T> static __device__ inline void write(T *to, const Pack<T, V> &pack) {
    *reinterpret_cast<Pack<T, V> *>(to) = pack;
}

#define PASTE(a, b) a##b
#define NAME(name, suffix) PASTE(name, suffix)
#define KERNEL(name) extern "C" __global__ void NAME(name, SUFFIX)

#define T float
#define A float
#define SUFFIX _f32
#include "kernels.cuh"
#undef T
#undef A
#undef SUFFIX

#define T double
#define A double
#define SUFFIX _f64
#include "kernels.cuh"
#undef T
#undef A
#undef SUFFIX

#define T bfloat
#define A float
#define SUFFIX _bf16
#include "kernels.cuh"
