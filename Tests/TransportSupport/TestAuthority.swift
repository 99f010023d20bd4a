// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Glibc

/// An authority of one test, whose certificates and keys are PEM files in a folder.
@safe
public final class TestAuthority {
    /// What one of its certificates is like.
    public struct Wish {
        /// As OpenSSL spells alternative names: `DNS:a.example,URI:spiffe://a`.
        public var alternativeNames: String?
        public var commonName: String
        /// Seconds from now.
        public var starts = -3_600
        public var ends = 86_400
        /// RSA with 2,048 bits, and not the curve P-256.
        public var isRSA = false

        public init(_ commonName: String, _ alternativeNames: String? = nil) {
            self.commonName = commonName
            self.alternativeNames = alternativeNames
        }
    }

    private let folder: String
    private let key: OpaquePointer
    private let certificate: OpaquePointer
    private var serial = 1

    /// Writes its own certificate to `ca.pem` in the folder, or to `NAME.pem`.
    public init(in folder: String, name: String = "ca") {
        self.folder = folder
        guard let made = unsafe Self.makeKey(Wish(name)) else { fatalError("no key") }
        unsafe key = unsafe made
        unsafe certificate = unsafe Self.make(
            Wish(name), serial: 1, key: made, issuer: nil, issuerKey: made)
        unsafe Self.write(certificate: certificate, to: "\(folder)/\(name).pem")
    }

    deinit {
        unsafe X509_free(certificate)
        unsafe EVP_PKEY_free(key)
    }

    /// Writes `FILE.pem` and `FILE.key`; their paths.
    @discardableResult
    public func issue(_ file: String, _ wish: Wish) -> (certificate: String, key: String) {
        serial += 1
        guard let holderKey = unsafe Self.makeKey(wish) else { fatalError("no key") }
        defer { unsafe EVP_PKEY_free(holderKey) }
        let made = unsafe Self.make(
            wish, serial: serial, key: holderKey, issuer: certificate, issuerKey: key)
        defer { unsafe X509_free(made) }
        let paths = ("\(folder)/\(file).pem", "\(folder)/\(file).key")
        unsafe Self.write(certificate: made, to: paths.0)
        unsafe Self.write(to: paths.1) { bio in
            unsafe PEM_write_bio_PrivateKey(bio, holderKey, nil, nil, 0, nil, nil)
        }
        return paths
    }

    private static func makeKey(_ wish: Wish) -> OpaquePointer? {
        var key: OpaquePointer?
        let kind = wish.isRSA ? EVP_PKEY_RSA : EVP_PKEY_EC
        let context = unsafe EVP_PKEY_CTX_new_id(kind, nil)
        defer { unsafe EVP_PKEY_CTX_free(context) }
        _ = unsafe EVP_PKEY_keygen_init(context)
        _ =
            wish.isRSA
            ? unsafe EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2_048)
            : unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1)
        _ = unsafe EVP_PKEY_keygen(context, &key)
        return unsafe key
    }

    private static func make(
        _ wish: Wish, serial: Int, key: OpaquePointer, issuer: OpaquePointer?,
        issuerKey: OpaquePointer
    ) -> OpaquePointer {
        guard let made = unsafe X509_new() else { fatalError("no certificate") }
        _ = unsafe X509_set_version(made, 2)
        _ = unsafe ASN1_INTEGER_set(X509_get_serialNumber(made), serial)
        _ = unsafe X509_gmtime_adj(X509_getm_notBefore(made), wish.starts)
        _ = unsafe X509_gmtime_adj(X509_getm_notAfter(made), wish.ends)
        _ = unsafe X509_set_pubkey(made, key)
        let subject = unsafe X509_get_subject_name(made)
        _ = unsafe X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_ASC, wish.commonName, -1, -1, 0)
        let issuerName = unsafe X509_get_subject_name(issuer ?? made)
        _ = unsafe X509_set_issuer_name(made, issuerName)
        let isRoot = unsafe issuer == nil
        var extensions = [
            (NID_basic_constraints, isRoot ? "critical,CA:TRUE" : "CA:FALSE")
        ]
        if let names = wish.alternativeNames { extensions.append((NID_subject_alt_name, names)) }
        for (kind, value) in extensions {
            var context = unsafe X509V3_CTX()
            unsafe X509V3_set_ctx(&context, issuer ?? made, made, nil, nil, 0)
            let field = unsafe X509V3_EXT_conf_nid(nil, &context, kind, value)
            _ = unsafe X509_add_ext(made, field, -1)
            unsafe X509_EXTENSION_free(field)
        }
        _ = unsafe X509_sign(made, issuerKey, EVP_sha256())
        return unsafe made
    }

    private static func write(certificate: OpaquePointer, to path: String) {
        unsafe write(to: path) { unsafe PEM_write_bio_X509($0, certificate) }
    }

    private static func write(to path: String, _ body: (OpaquePointer?) -> Int32) {
        let bio = unsafe BIO_new_file(path, "w")
        defer { unsafe BIO_free(bio) }
        guard unsafe body(bio) == 1 else { fatalError("cannot write \(path)") }
    }
}

@available(*, unavailable)
extension TestAuthority: Sendable {}
