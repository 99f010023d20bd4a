// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Units

/// One X.509 certificate.
@safe
final class Certificate {
    let pointer: OpaquePointer

    /// Takes the certificate over.
    init(taking pointer: OpaquePointer) { unsafe self.pointer = unsafe pointer }

    deinit { unsafe X509_free(pointer) }

    /// Once more for a function that takes one over.
    func retained() -> OpaquePointer {
        _ = unsafe X509_up_ref(pointer)
        return unsafe pointer
    }

    /// The SHA-256 of all of it.
    var digest: [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        _ = unsafe X509_digest(pointer, EVP_sha256(), &digest, &length)
        return digest
    }

    /// Until it is over; negative afterwards.
    var left: Duration { unsafe Self.span(to: X509_get0_notAfter(pointer)) }
    /// Until it begins; negative once it has.
    var starts: Duration { unsafe Self.span(to: X509_get0_notBefore(pointer)) }

    private static func span(to time: UnsafePointer<ASN1_TIME>?) -> Duration {
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard unsafe ASN1_TIME_diff(&days, &seconds, nil, time) == 1 else { return .zero }
        return .seconds(Int(days) * 86_400 + Int(seconds))
    }

    // MARK: names

    /// DNS names in small letters, URIs, e-mail and IP addresses among the alternative names; only
    /// where there are none of these the common name, in small letters (RFC 9525 section 2).
    var names: [String] {
        let names = alternativeNames
        return names.isEmpty ? commonName.map { [$0.lowercased()] } ?? [] : names
    }

    private var alternativeNames: [String] {
        guard let all = unsafe penstock_alternative_names(pointer) else { return [] }
        defer { unsafe GENERAL_NAMES_free(all) }
        var names: [String] = []
        for place in unsafe 0..<penstock_name_count(all) {
            var kind: Int32 = 0
            var length: Int32 = 0
            guard let start = unsafe penstock_name_at(all, place, &kind, &length), length > 0
            else { continue }
            let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: Int(length)))
            if kind == GEN_IPADD {
                if let address = Self.address(bytes) { names.append(address) }
                continue
            }
            // A zero in a name is there to deceive who reads it as a C string.
            guard !bytes.contains(0) else { continue }
            let name = String(decoding: bytes, as: UTF8.self)
            names.append(kind == GEN_DNS ? name.lowercased() : name)
        }
        return names
    }

    private static func address(_ bytes: [UInt8]) -> String? {
        if bytes.count == 4 { return bytes.map { "\($0)" }.joined(separator: ".") }
        guard bytes.count == 16 else { return nil }
        return stride(from: 0, to: 16, by: 2).map { place in
            String(Int(bytes[place]) << 8 | Int(bytes[place + 1]), radix: 16)
        }.joined(separator: ":")
    }

    private var commonName: String? {
        let subject = unsafe X509_get_subject_name(pointer)
        let place = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
        guard place >= 0, let entry = unsafe X509_NAME_get_entry(subject, place),
            let value = unsafe X509_NAME_ENTRY_get_data(entry)
        else { return nil }
        var text: UnsafeMutablePointer<UInt8>?
        let length = unsafe ASN1_STRING_to_UTF8(&text, value)
        guard length > 0, let text = unsafe text else { return nil }
        defer { unsafe CRYPTO_free(text, nil, 0) }
        let bytes = unsafe Array(UnsafeBufferPointer(start: text, count: Int(length)))
        return bytes.contains(0) ? nil : String(decoding: bytes, as: UTF8.self)
    }
}

@available(*, unavailable)
extension Certificate: Sendable {}
