//! Recognises that memory ran out.

/// Whether an error's text says that memory ran out: in this program's own words, or by the names of the CUDA driver
/// (`CUDA_ERROR_OUT_OF_MEMORY`), of cuBLAS (`CUBLAS_STATUS_ALLOC_FAILED`) or of cuDNN (`CUDNN_STATUS_ALLOC_FAILED`, from version
/// 9 on `CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED` and `…_HOST_ALLOCATION_FAILED`).
pub fn is_out_of_memory(text: &str) -> bool {
    let text = text.to_lowercase().replace('_', " ");
    ["out of memory", "alloc failed", "allocation failed"].iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_memory_is_recognised_in_the_words_of_every_library() {
        for text in [
            "the GPU is out of memory: 512 MiB were asked for",
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "CudnnError(CUDNN_STATUS_ALLOC_FAILED)",
            "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)",
            "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED)",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "CUDA out of memory. Tried to allocate 2.00 GiB",
        ] {
            assert!(is_out_of_memory(text), "{text}");
        }
        for text in [
            "CudnnError(CUDNN_STATUS_NOT_SUPPORTED)",
            "CudnnError(CUDNN_STATUS_EXECUTION_FAILED)",
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access was encountered\")",
            "conv2d: a weight of F32 beside activations of F64",
        ] {
            assert!(!is_out_of_memory(text), "{text}");
        }
    }
}
