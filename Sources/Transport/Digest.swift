// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Units

/// SHA-256 through OpenSSL, its context made once.
@safe
public final class Digest {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    /// One per thread is enough.
    public init() {
        guard let context = unsafe EVP_MD_CTX_new(),
            let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil)
        else { broken("OpenSSL has SHA-256") }
        unsafe self.context = unsafe context
        unsafe self.algorithm = unsafe algorithm
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(algorithm)
    }

    /// The digest of `bytes` as four big-endian words.
    public func sha256(_ bytes: UnsafeRawBufferPointer) -> [4 of UInt64] {
        var words: [4 of UInt64] = [0, 0, 0, 0]
        unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { digest in
            var length: UInt32 = 0
            let good =
                unsafe EVP_DigestInit_ex(context, algorithm, nil) == 1
                && EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1
                && EVP_DigestFinal_ex(
                    context, digest.baseAddress?.assumingMemoryBound(to: UInt8.self), &length)
                    == 1
            invariant(good && length == 32, "SHA-256 succeeds")
            for word in 0..<4 {
                words[word] = UInt64(
                    bigEndian: unsafe digest.loadUnaligned(
                        fromByteOffset: word * 8, as: UInt64.self))
            }
        }
        return words
    }
}

@available(*, unavailable)
extension Digest: Sendable {}
