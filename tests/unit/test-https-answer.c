/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/failure.h"
#include "daemon/transports/https/status.h"

#include <errno.h>
#include <string.h>

/*
 * What the hub's answers mean, and what it means to get none.
 */

#define NOW_USEC G_GINT64_CONSTANT(1893456000000000) /* 2030-01-01T00:00:00Z, a Tuesday */
#define NOW_DATE "Tue, 01 Jan 2030 00:00:00 GMT"
#define BODY(code, text)                                                                           \
    "{\"Message\":\"ErrorCode:" code ";" text "\",\"ExceptionMessage\":\"Tracking ID:1\"}"

static SpokeAnswer
answer_with(guint status, const char *body)
{
    return (SpokeAnswer){
        .status = status,
        .date = NOW_DATE,
        .body = body,
        .body_size = body != NULL ? strlen(body) : 0,
    };
}

static void
assert_kind(guint status, const char *body, SpokeStatusKind kind)
{
    SpokeAnswer answer = answer_with(status, body);

    g_assert_cmpint(spoke_status_get_kind(&answer), ==, kind);
}

static void
test_kind(void)
{
    assert_kind(200, NULL, SPOKE_STATUS_DONE);
    assert_kind(204, NULL, SPOKE_STATUS_DONE);
    assert_kind(400, BODY("ArgumentInvalid", "no"), SPOKE_STATUS_MESSAGE);
    assert_kind(413, NULL, SPOKE_STATUS_MESSAGE);
    assert_kind(412, NULL, SPOKE_STATUS_LOCK);
    assert_kind(301, NULL, SPOKE_STATUS_ACCOUNT);
    assert_kind(401, NULL, SPOKE_STATUS_ACCOUNT);
    assert_kind(429, NULL, SPOKE_STATUS_ACCOUNT);
    assert_kind(503, NULL, SPOKE_STATUS_ACCOUNT);
}

static void
test_kind_blames_no_message_without_a_code(void)
{
    assert_kind(400, NULL, SPOKE_STATUS_ACCOUNT);
    assert_kind(400, "<h2>Bad Request - Invalid Hostname</h2>", SPOKE_STATUS_ACCOUNT);
    assert_kind(400, BODY("InvalidProtocolVersion", "no"), SPOKE_STATUS_ACCOUNT);
}

static void
assert_cause(guint status, const char *body, SpokeCause cause)
{
    SpokeAnswer answer = answer_with(status, body);

    g_assert_cmpstr(spoke_cause_to_string(spoke_status_get_cause(&answer, NOW_USEC)), ==,
                    spoke_cause_to_string(cause));
}

static void
test_cause(void)
{
    assert_cause(401, NULL, SPOKE_CAUSE_AUTHENTICATION_FAILED);
    assert_cause(403, BODY("IotHubQuotaExceeded", "no"), SPOKE_CAUSE_QUOTA_EXCEEDED);
    assert_cause(403, BODY("DeviceDisabled", "no"), SPOKE_CAUSE_AUTHENTICATION_FAILED);
    assert_cause(404, NULL, SPOKE_CAUSE_NOT_FOUND);
    assert_cause(429, NULL, SPOKE_CAUSE_THROTTLED);
    assert_cause(500, NULL, SPOKE_CAUSE_UNAVAILABLE);
    assert_cause(503, NULL, SPOKE_CAUSE_UNAVAILABLE);
    assert_cause(302, NULL, SPOKE_CAUSE_PROTOCOL);
    assert_cause(400, NULL, SPOKE_CAUSE_PROTOCOL);
}

static void
test_cause_clock(void)
{
    SpokeAnswer late = {.status = 401, .date = "Tue, 01 Jan 2030 00:05:01 GMT"};
    SpokeAnswer near = {.status = 401, .date = "Mon, 31 Dec 2029 23:55:01 GMT"};
    SpokeAnswer odd = {.status = 401, .date = "yesterday"};

    g_assert_cmpint(spoke_status_get_cause(&late, NOW_USEC), ==, SPOKE_CAUSE_CLOCK);
    g_assert_cmpint(spoke_status_get_cause(&near, NOW_USEC), ==, SPOKE_CAUSE_AUTHENTICATION_FAILED);
    g_assert_cmpint(spoke_status_get_cause(&odd, NOW_USEC), ==, SPOKE_CAUSE_AUTHENTICATION_FAILED);

    g_autofree char *detail = spoke_status_describe(&late, NOW_USEC + 999);
    g_assert_cmpstr(detail, ==,
                    "HTTP 401: the hub's clock says 2030-01-01T00:05:01.000Z, "
                    "this machine's 2030-01-01T00:00:00.000Z");
}

static void
assert_described(SpokeAnswer answer, const char *expected)
{
    g_autofree char *detail = spoke_status_describe(&answer, NOW_USEC);

    g_assert_cmpstr(detail, ==, expected);
}

static void
test_describe(void)
{
    SpokeAnswer with_header = answer_with(429, "{\"Message\": \"too \\\"many\\\"\\n\"}");

    with_header.error_code = "ThrottlingException";
    assert_described(answer_with(500, NULL), "HTTP 500");
    assert_described(answer_with(401, BODY("IotHubUnauthorizedAccess", "Unauthorized")),
                     "HTTP 401 IotHubUnauthorizedAccess: Unauthorized");
    assert_described(with_header, "HTTP 429 ThrottlingException: too \"many\"n");
    assert_described(answer_with(500, "{\"Message\":"), "HTTP 500");
    assert_described(answer_with(500, "{\"Message\":\"open\\"), "HTTP 500: open");
    assert_described(answer_with(500, "{\"Message\":\"a\r\n\xff\"}"), "HTTP 500: a  \xef\xbf\xbd");
}

static void
test_describe_is_short(void)
{
    g_autofree char *long_text = g_strnfill(5000, 'x');
    g_autofree char *body = g_strdup_printf("{\"Message\":\"%s\"}", long_text);
    SpokeAnswer answer = answer_with(500, body);
    g_autofree char *detail = spoke_status_describe(&answer, NOW_USEC);

    g_assert_cmpuint(strlen(detail), <, 250);
}

static void
test_describe_shows_no_token(void)
{
    assert_described(answer_with(401, "{\"Message\":\"bad SharedAccessSignature sr=h&sig=abc\"}"),
                     "HTTP 401");
}

static void
assert_wait(const char *retry_after, const char *date, gint64 expected_sec)
{
    const SpokeAnswer answer = {.status = 429, .retry_after = retry_after, .date = date};

    g_assert_cmpint(spoke_status_get_wait(&answer, NOW_USEC), ==, expected_sec * G_USEC_PER_SEC);
}

static void
test_wait(void)
{
    assert_wait(NULL, NULL, 0);
    assert_wait("0", NULL, 0);
    assert_wait("120", NULL, 120);
    assert_wait("99999999", NULL, 86400);
    assert_wait("-5", NULL, 0);
    assert_wait("soon", NULL, 0);
    assert_wait("Tue, 01 Jan 2030 00:02:00 GMT", NULL, 120);
    assert_wait("Tue, 01 Jan 2030 00:02:00 GMT", "Tue, 01 Jan 2030 00:01:00 GMT", 60);
    assert_wait("Mon, 31 Dec 2029 00:00:00 GMT", NULL, 0);
}

static void
test_failure(void)
{
    static const struct {
        SpokeFailure failure;
        SpokeCause cause;
    } rows[] = {
        {{.code = CURLE_OK}, SPOKE_CAUSE_NONE},
        {{.code = CURLE_COULDNT_RESOLVE_HOST}, SPOKE_CAUSE_DNS},
        {{.code = CURLE_COULDNT_RESOLVE_PROXY, .uses_proxy = TRUE}, SPOKE_CAUSE_PROXY},
        {{.code = CURLE_COULDNT_CONNECT, .os_error = ECONNREFUSED}, SPOKE_CAUSE_TCP_REFUSED},
        {{.code = CURLE_COULDNT_CONNECT, .os_error = ETIMEDOUT}, SPOKE_CAUSE_TCP_TIMEOUT},
        {{.code = CURLE_COULDNT_CONNECT, .os_error = ENETUNREACH}, SPOKE_CAUSE_NETWORK},
        {{.code = CURLE_COULDNT_CONNECT, .os_error = ECONNREFUSED, .uses_proxy = TRUE},
         SPOKE_CAUSE_PROXY},
        {{.code = CURLE_OPERATION_TIMEDOUT}, SPOKE_CAUSE_DNS},
        {{.code = CURLE_OPERATION_TIMEDOUT, .is_resolved = TRUE}, SPOKE_CAUSE_TCP_TIMEOUT},
        {{.code = CURLE_OPERATION_TIMEDOUT, .is_resolved = TRUE, .is_connected = TRUE},
         SPOKE_CAUSE_TLS},
        {{.code = CURLE_OPERATION_TIMEDOUT,
          .is_resolved = TRUE,
          .is_connected = TRUE,
          .uses_proxy = TRUE},
         SPOKE_CAUSE_PROXY},
        {{.code = CURLE_OPERATION_TIMEDOUT,
          .is_resolved = TRUE,
          .is_connected = TRUE,
          .is_secured = TRUE},
         SPOKE_CAUSE_KEEPALIVE},
        {{.code = CURLE_RECV_ERROR, .uses_proxy = TRUE, .connect_status = 407}, SPOKE_CAUSE_PROXY},
        {{.code = CURLE_RECV_ERROR}, SPOKE_CAUSE_TLS},
        {{.code = CURLE_RECV_ERROR, .is_secured = TRUE}, SPOKE_CAUSE_PROTOCOL},
        {{.code = CURLE_RECV_ERROR, .is_secured = TRUE, .has_answered = TRUE},
         SPOKE_CAUSE_CLOSED_BY_HUB},
        {{.code = CURLE_RECV_ERROR, .uses_proxy = TRUE, .has_answered = TRUE}, SPOKE_CAUSE_PROXY},
        {{.code = CURLE_GOT_NOTHING, .is_secured = TRUE}, SPOKE_CAUSE_CLOSED_BY_HUB},
        {{.code = CURLE_SSL_CONNECT_ERROR}, SPOKE_CAUSE_TLS},
        {{.code = CURLE_PEER_FAILED_VERIFICATION}, SPOKE_CAUSE_CERTIFICATE},
        {{.code = CURLE_SSL_CACERT_BADFILE}, SPOKE_CAUSE_CERTIFICATE},
        {{.code = CURLE_SSL_CERTPROBLEM}, SPOKE_CAUSE_BAD_CREDENTIALS},
        {{.code = CURLE_WEIRD_SERVER_REPLY}, SPOKE_CAUSE_PROTOCOL},
        {{.code = CURLE_OUT_OF_MEMORY}, SPOKE_CAUSE_INTERNAL},
        {{.code = CURLE_OUT_OF_MEMORY, .is_secured = TRUE}, SPOKE_CAUSE_PROTOCOL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpstr(spoke_cause_to_string(spoke_failure_get_cause(&rows[i].failure)), ==,
                        spoke_cause_to_string(rows[i].cause));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/https/status/kind", test_kind);
    g_test_add_func("/https/status/kind/blames-no-message-without-a-code",
                    test_kind_blames_no_message_without_a_code);
    g_test_add_func("/https/status/cause", test_cause);
    g_test_add_func("/https/status/cause/clock", test_cause_clock);
    g_test_add_func("/https/status/describe", test_describe);
    g_test_add_func("/https/status/describe/is-short", test_describe_is_short);
    g_test_add_func("/https/status/describe/shows-no-token", test_describe_shows_no_token);
    g_test_add_func("/https/status/wait", test_wait);
    g_test_add_func("/https/failure/cause", test_failure);
    return g_test_run();
}
