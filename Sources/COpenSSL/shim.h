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
#include <openssl/param_build.h>

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

// Public keys from their numbers; null where they are none.
static inline EVP_PKEY *penstock_key_from(const char *kind, OSSL_PARAM *parameters) {
    EVP_PKEY *key = 0;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(0, kind, 0);
    if (context && EVP_PKEY_fromdata_init(context) == 1
        && EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) key = 0;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return key;
}
static inline EVP_PKEY *penstock_rsa_key(
    const unsigned char *modulus, size_t modulus_count, const unsigned char *exponent,
    size_t exponent_count) {
    EVP_PKEY *key = 0;
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_count, 0);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_count, 0);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (n && e && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e)) {
        OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
        if (parameters) key = penstock_key_from("RSA", parameters);
        OSSL_PARAM_free(parameters);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}
static inline EVP_PKEY *penstock_p256_key(const unsigned char *point, size_t count) {
    char group[] = "prime256v1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, count),
        OSSL_PARAM_construct_end(),
    };
    return penstock_key_from("EC", parameters);
}
