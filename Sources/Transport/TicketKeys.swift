// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Synchronization
public import Units

/// The keys under which session tickets are sealed, shared by all workers (RFC 5077, RFC 8446
/// section 4.6.1).
///
/// A ticket is good for one to two rotations. Who has a key can read what was said in sessions
/// resumed with it, in TLS 1.2, so keys are never written down and soon forgotten.
public final class TicketKeys: Sendable {
    /// How long a key seals tickets; it opens them for as long again.
    public static let rotation = Duration.seconds(3_600)

    private struct Key {
        let name: [16 of UInt8]
        let cipher: [32 of UInt8]
        let seal: [32 of UInt8]
    }

    /// The present one first, and the one before.
    private let keys = Mutex<[Key]>([])

    public init() { rotate() }

    /// Begins to seal with a new key.
    public func rotate() {
        let fresh = Key(name: Self.secret(), cipher: Self.secret(), seal: Self.secret())
        keys.withLock { $0 = [fresh] + $0.prefix(1) }
    }

    private static func secret<let count: Int>() -> [count of UInt8] {
        var bytes = [count of UInt8](repeating: 0)
        let result = unsafe withUnsafeMutableBytes(of: &bytes) {
            unsafe RAND_bytes($0.baseAddress, Int32($0.count))
        }
        invariant(result == 1, "the system has randomness")
        return bytes
    }

    /// Sets the ciphers up for one ticket, as `SSL_CTX_set_tlsext_ticket_key_evp_cb` wants it: 1
    /// used, 2 used and to be renewed, 0 unknown, negative failed.
    func prepare(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>,
        cipher: OpaquePointer, seal: OpaquePointer, isSealing: Bool
    ) -> Int32 {
        let known = keys.withLock { $0 }
        if isSealing {
            guard let key = known.first, unsafe RAND_bytes(vector, 16) == 1 else { return -1 }
            for place in 0..<16 { unsafe name[place] = key.name[place] }
            return unsafe Self.arm(key, vector, cipher, seal, isSealing: true) ? 1 : -1
        }
        for (place, key) in known.enumerated() {
            guard (0..<16).allSatisfy({ unsafe name[$0] == key.name[$0] }) else { continue }
            guard unsafe Self.arm(key, vector, cipher, seal, isSealing: false) else { return -1 }
            return place == 0 ? 1 : 2
        }
        return 0
    }

    private static func arm(
        _ key: Key, _ vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer,
        _ seal: OpaquePointer, isSealing: Bool
    ) -> Bool {
        var secret = key.seal
        let isArmed = unsafe withUnsafeMutableBytes(of: &secret) { bytes in
            let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe penstock_seal_with(seal, start, bytes.count) == 1
        }
        guard isArmed else { return false }
        let cipherKey = key.cipher
        return unsafe withUnsafeBytes(of: cipherKey) { bytes in
            let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe isSealing
                ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, start, vector) == 1
                : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, start, vector) == 1
        }
    }
}
