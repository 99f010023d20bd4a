// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/sha.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/evp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

// Macros, which Swift cannot see.
static inline int penstock_tls_at_least_1_2(SSL_CTX *context) {
    return (int)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline int penstock_tls_server_name(SSL *session, const char *name) {
    return (int)SSL_set_tlsext_host_name(session, name);
}
static inline int penstock_tls_at_least(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}
static const uint64_t penstock_tls_no_renegotiation = SSL_OP_NO_RENEGOTIATION;
static const uint64_t penstock_tls_no_compression = SSL_OP_NO_COMPRESSION;
static inline long penstock_tls_modes(SSL_CTX *context, long modes) {
    return SSL_CTX_set_mode(context, modes);
}
static inline void penstock_tls_read_ahead(SSL_CTX *context) {
    SSL_CTX_set_read_ahead(context, 1);
}
static inline void penstock_tls_no_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline int penstock_tls_groups(SSL_CTX *context, const char *names) {
    return (int)SSL_CTX_set1_groups_list(context, names);
}
static inline void penstock_tls_on_server_name(
    SSL_CTX *context, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline void penstock_tls_on_ticket(
    SSL_CTX *context,
    int (*callback)(
        SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}
// HMAC with SHA-256 under `key`; parameters hold pointers to their names, which have to stay.
static inline int penstock_seal_with(EVP_MAC_CTX *seal, unsigned char *key, size_t count) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, count),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(seal, parameters);
}
static inline int penstock_tls_add_chain(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add0_chain_cert(context, certificate);
}

// Names of a certificate: OpenSSL's stacks are macros.
static inline GENERAL_NAMES *penstock_alternative_names(const X509 *certificate) {
    return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, 0, 0);
}
static inline int penstock_name_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}
// The text of a DNS name, an e-mail address or a URI, or the bytes of an IP address, with its kind;
// null for what is neither.
static inline const unsigned char *penstock_name_at(
    const GENERAL_NAMES *names, int place, int *kind, int *length) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, place);
    *kind = name->type;
    if (name->type != GEN_DNS && name->type != GEN_EMAIL && name->type != GEN_URI
        && name->type != GEN_IPADD) return 0;
    *length = ASN1_STRING_length(name->d.ia5);
    return ASN1_STRING_get0_data(name->d.ia5);
}
