// What a C++ compiler needs to take kernels.cu for a CPU: a launch is a loop over the threads.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <utility>

#define __global__
#define __device__
#define THREAD thread_index
static thread_local int thread_index;

struct bfloat {
    uint16_t bits;
};
static inline float number(bfloat x) {
    uint32_t wide = (uint32_t)x.bits << 16;
    float result;
    memcpy(&result, &wide, 4);
    return result;
}
// To the nearest, ties to even, as __float2bfloat16.
static inline void put(bfloat &place, float x) {
    uint32_t wide;
    memcpy(&wide, &x, 4);
    bool nan = (wide & 0x7fffffff) > 0x7f800000;
    place.bits = nan ? 0x7fff : (uint16_t)((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}

template <class... P, size_t... I>
static void launch(void (*kernel)(P...), void **arguments, long long threads, std::index_sequence<I...>) {
    for (thread_index = 0; thread_index < (int)threads; thread_index++) kernel(*(P *)arguments[I]...);
}
template <class... P> static void launch(void (*kernel)(P...), void **arguments, long long threads) {
    launch(kernel, arguments, threads, std::index_sequence_for<P...>());
}
// `arguments` are pointers to the kernel's own, as cuLaunchKernel takes them.
#define EXPORT(name)                                                                    \
    extern "C" void NAME(host_##name, SUFFIX)(void **arguments, long long threads) {    \
        launch(NAME(name, SUFFIX), arguments, threads);                                 \
    }
