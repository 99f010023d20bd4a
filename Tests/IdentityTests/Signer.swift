// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Identity

/// An issuer with one key, Ed25519, whose signatures need no randomness.
@safe
struct Signer {
    private let secret: [UInt8]
    let name: String

    init(_ seed: UInt8 = 1, name: String = "k1") {
        secret = [UInt8](repeating: seed, count: 32)
        self.name = name
    }

    /// Its public key as a member of a set.
    var entry: String {
        var x = [UInt8](repeating: 0, count: 32)
        var count = x.count
        let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, secret, 32)
        defer { unsafe EVP_PKEY_free(key) }
        _ = unsafe EVP_PKEY_get_raw_public_key(key, &x, &count)
        return #"{"kty": "OKP", "crv": "Ed25519", "kid": "\#(name)", "x": "\#(Self.spelled(x))"}"#
    }

    var keys: [TokenKey] { Self.set(entry) }

    static func set(_ entries: String...) -> [TokenKey] {
        let text = Array(#"{"keys": [\#(entries.joined(separator: ", "))]}"#.utf8)
        return unsafe TokenKey.set(text.span.bytes) ?? []
    }

    /// A token of these two texts, whatever they say.
    func token(_ header: String, _ claims: String) -> String {
        let text = Self.spelled(Array(header.utf8)) + "." + Self.spelled(Array(claims.utf8))
        return text + "." + Self.spelled(signature(of: Array(text.utf8)))
    }

    /// A token with its own algorithm and name.
    func token(_ claims: String) -> String {
        token(#"{"alg": "EdDSA", "kid": "\#(name)"}"#, claims)
    }

    func signature(of text: [UInt8]) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 64)
        var count = signature.count
        let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, secret, 32)
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_PKEY_free(key)
            unsafe EVP_MD_CTX_free(context)
        }
        _ = unsafe EVP_DigestSignInit(context, nil, nil, nil, key)
        _ = unsafe EVP_DigestSign(context, &signature, &count, text, text.count)
        return signature
    }

    /// Base64 for URLs, without padding.
    static func spelled(_ bytes: [UInt8]) -> String {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[bits >> count & 63])
            }
            bits &= 0xFF
        }
        if count > 0 { text.append(alphabet[bits << (6 - count) & 63]) }
        return String(decoding: text, as: UTF8.self)
    }
}
