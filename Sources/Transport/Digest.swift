// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Units

/// SHA-256 through OpenSSL, its context made once.
///
/// A client sends the same key with every request, and hashing it takes longer than all else that
/// is done to find its owner: some short texts are remembered with their digests.
@safe
public final class Digest {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer
    private var recent: RecentDigests?

    /// One per thread is enough. `secret` decides where remembered texts lie, so that nobody
    /// outside can make two of them take each other's place; nil remembers nothing.
    public init(remembering secret: UInt64? = nil) {
        guard let context = unsafe EVP_MD_CTX_new(),
            let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil)
        else { broken("OpenSSL has SHA-256") }
        unsafe self.context = unsafe context
        unsafe self.algorithm = unsafe algorithm
        recent = secret.map { RecentDigests(secret: $0) }
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(algorithm)
    }

    /// The digest of `bytes` as four big-endian words.
    public func sha256(_ bytes: UnsafeRawBufferPointer) -> [4 of UInt64] {
        guard recent != nil, bytes.count <= RecentDigests.longest else {
            return unsafe computed(bytes)
        }
        let place = unsafe recent.unsafelyUnwrapped.place(of: bytes)
        if let known = unsafe recent.unsafelyUnwrapped.digest(of: bytes, at: place) { return known }
        let digest = unsafe computed(bytes)
        unsafe recent.unsafelyUnwrapped.remember(bytes, digest, at: place)
        return digest
    }

    private func computed(_ bytes: UnsafeRawBufferPointer) -> [4 of UInt64] {
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
