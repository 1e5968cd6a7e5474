package valkey

import (
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/parleyhq/parley"
)

// defaultPort is where stores listen that no port is written for.
const defaultPort = "6379"

// Dial makes a client as Connect does from a URL:
//
//	valkey://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DATABASE]
//
// The scheme may be redis, too; valkeys and rediss use TLS. Several hosts are those
// of one cluster. Like Connect it connects when it is used. Errors are Invalid, and
// never repeat the password.
func Dial(url string) (redis.UniversalClient, error) {
	o, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	return Connect(o), nil
}

// CheckURL says whether Dial would take a URL. Errors: Invalid.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

var schemes = map[string]string{"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss"}

func parseURL(url string) (*redis.UniversalOptions, error) {
	bad := parley.BadField("url", "is not the address of a store", "write it like valkey://HOST:6379")
	scheme, rest, _ := strings.Cut(url, "://")
	user, hosts := "", rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, hosts = rest[:i+1], rest[i+1:]
	}
	hosts, path, _ := strings.Cut(hosts, "/")
	if schemes[scheme] == "" || hosts == "" {
		return nil, bad
	}
	var addrs []string
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" || strings.HasSuffix(host, ":") {
			return nil, bad
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
		}
		addrs = append(addrs, host)
	}
	one, err := redis.ParseURL(schemes[scheme] + "://" + user + addrs[0] + "/" + path)
	if err != nil {
		return nil, bad // the library's error may hold the password
	}
	return &redis.UniversalOptions{Addrs: addrs, DB: one.DB, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig}, nil
}
