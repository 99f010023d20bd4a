// SPDX-License-Identifier: Apache-2.0

import COpenSSL
public import EventLoop

/// Why there is no TLS, in words for the log and for `penstock check`.
public enum TLSFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file cannot be read.
    case unreadable(path: String, FileFault)
    /// A file does not hold what it should.
    case malformed(path: String, String)
    /// A file has no key, or none that can be read without a password.
    case noKey(path: String)
    /// A key that does not belong to its certificate.
    case foreignKey(path: String, certificate: String)
    /// The peer spoke HTTP in clear.
    case plainHTTP
    /// The peer's certificate is not what it has to be.
    case certificate(String)
    /// The peer ended it, with an alert or without a word.
    case ended(String)
    /// What the peer sent is no TLS that both sides know, or the library failed.
    case broken(String)

    public var description: String {
        switch self {
        case .unreadable(let path, .system(let fault)): "cannot read \(path): \(fault)"
        case .unreadable(let path, .tooLarge(let limit)):
            "\(path) is longer than \(limit) bytes"
        case .malformed(let path, let reason): "\(path): \(reason)"
        case .noKey(let path): "\(path) has no private key in PEM, or one with a password"
        case .foreignKey(let path, let certificate):
            "\(path) is not the key of the certificate in \(certificate)"
        case .plainHTTP: "the peer speaks HTTP in clear"
        case .certificate(let reason): "the peer's certificate: \(reason)"
        case .ended(let reason), .broken(let reason): reason
        }
    }

    /// The oldest reason in OpenSSL's queue, which is then empty; nil when it has none.
    static func libraryReason() -> String? {
        let code = ERR_peek_error()
        ERR_clear_error()
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return nil }
        return unsafe String(cString: text)
    }

    /// The library failed where only memory can be short.
    static func library(_ what: String) -> TLSFault {
        .broken(libraryReason().map { "\(what): \($0)" } ?? what)
    }
}
