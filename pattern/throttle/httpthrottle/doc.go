// Package httpthrottle puts package throttle before an [http.Handler] and
// behind an [http.Client].
//
// [New] makes middleware: each [Rule] is a limiter and the [Key] that a request
// has under it. All rules that refuse are asked together, so that a refusal by
// one burns nothing of the others; rules that shape make the request wait its
// turn. What is refused gets
//
//	429 Too Many Requests     a limit is used up, or the key is locked out
//	503 Service Unavailable   no place inside is free (concurrency)
//	413 Content Too Large     the cost is above what could ever pass
//	403 Forbidden             the limit is zero
//
// with Retry-After (RFC 9110 §10.2.3) where waiting helps, in whole seconds and never too
// early, with RateLimit and RateLimit-Policy fields
// (draft-ietf-httpapi-ratelimit-headers-10), no-store (RFC 6585 §4), and one
// JSON body. See [Body].
//
// [Transport] is the other side: it obeys Retry-After and RateLimit, sends
// again what was refused, and paces its own calls.
package httpthrottle
