// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import EventLoop
public import Units

/// A certificate with those that vouch for it, and its key: two PEM files.
public struct TLSIdentity: Sendable, Equatable {
    /// The certificate first, then those between it and its root.
    public var certificate: String
    public var key: String

    public init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

/// Whom a certificate is of, and for how long.
public struct TLSHolder: Sendable, Equatable {
    /// DNS names in small letters, perhaps with a star for the first label, and other names.
    public let names: [String]
    /// Until it is over; negative afterwards.
    public let left: Duration
    /// Until it begins; negative once it has.
    public let starts: Duration
}

/// Reads PEM files into a context.
enum TLSFiles {
    private static let limit = 4 << 20

    /// Gives the context a certificate, its chain and its key; whom the certificate is of.
    static func use(
        _ identity: TLSIdentity, in context: OpaquePointer
    ) throws(TLSFault) -> TLSHolder {
        let path = identity.certificate
        let all = try certificates(path)
        ERR_clear_error()
        guard unsafe SSL_CTX_use_certificate(context, all[0].pointer) == 1 else {
            throw .malformed(path: path, TLSFault.libraryReason() ?? "is not understood")
        }
        for certificate in all.dropFirst() {
            guard unsafe penstock_tls_add_chain(context, certificate.retained()) == 1 else {
                throw .malformed(path: path, TLSFault.libraryReason() ?? "is not understood")
            }
        }
        try unsafe useKey(identity, in: context)
        return TLSHolder(names: all[0].names, left: all[0].left, starts: all[0].starts)
    }

    private static func useKey(
        _ identity: TLSIdentity, in context: OpaquePointer
    ) throws(TLSFault) {
        let bio = try unsafe open(identity.key)
        defer { unsafe BIO_free(bio) }
        // A key under a password would be asked for at the terminal.
        let refuse:
            @convention(c) (
                UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
            ) -> Int32 = { _, _, _, _ in -1 }
        guard let key = unsafe PEM_read_bio_PrivateKey(bio, nil, refuse, nil) else {
            ERR_clear_error()
            throw .noKey(path: identity.key)
        }
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1,
            unsafe SSL_CTX_check_private_key(context) == 1
        else {
            ERR_clear_error()
            throw .foreignKey(path: identity.key, certificate: identity.certificate)
        }
    }

    /// Trusts these certificates and no others; the digests of all of them.
    static func trust(_ path: String, in context: OpaquePointer) throws(TLSFault) -> [UInt8] {
        let all = try certificates(path)
        guard let store = unsafe X509_STORE_new() else { throw .library("no memory") }
        // The context owns the store from here on.
        unsafe SSL_CTX_set_cert_store(context, store)
        for certificate in all {
            guard unsafe X509_STORE_add_cert(store, certificate.pointer) == 1 else {
                throw .malformed(path: path, TLSFault.libraryReason() ?? "is not understood")
            }
        }
        return all.flatMap(\.digest)
    }

    /// Tells clients whose certificates are wanted of them.
    static func ask(for path: String, in context: OpaquePointer) throws(TLSFault) {
        for certificate in try certificates(path) {
            _ = unsafe SSL_CTX_add_client_CA(context, certificate.pointer)
        }
    }

    /// All certificates of a PEM file, at least one.
    private static func certificates(_ path: String) throws(TLSFault) -> [Certificate] {
        let bio = try unsafe open(path)
        defer { unsafe BIO_free(bio) }
        var all: [Certificate] = []
        ERR_clear_error()
        while let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
            all.append(unsafe Certificate(taking: certificate))
        }
        let code = ERR_peek_last_error()
        ERR_clear_error()
        // The end is told as an error too.
        let isEnd = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE
        guard isEnd, !all.isEmpty else {
            throw .malformed(
                path: path, isEnd ? "has no certificate in PEM" : "a certificate is damaged")
        }
        return all
    }

    /// A file's bytes, as a BIO over a copy of them.
    private static func open(_ path: String) throws(TLSFault) -> OpaquePointer {
        let bytes: [UInt8]
        do throws(FileFault) { bytes = try Files.readFile(path, limit: limit) } catch {
            throw .unreadable(path: path, error)
        }
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { throw .library("no memory") }
        guard !bytes.isEmpty else { return unsafe bio }
        guard unsafe BIO_write(bio, bytes, Int32(clamping: bytes.count)) == bytes.count else {
            unsafe BIO_free(bio)
            throw .library("no memory")
        }
        return unsafe bio
    }
}
