package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"greenlane/internal/redisconn"
)

// Redis says where the Redis is that keeps the callers' tiers and, with engine
// redis, the queues. Without addresses there is none.
type Redis struct {
	Addresses []string `yaml:"addresses"`
	Master    string   `yaml:"master"`  // the name that Sentinel knows; empty: no Sentinel
	Cluster   bool     `yaml:"cluster"` // the addresses are of a Cluster; several without master are

	Username             string `yaml:"username"`
	Password             string `yaml:"password"`
	PasswordFile         string `yaml:"password_file"`
	SentinelUsername     string `yaml:"sentinel_username"`
	SentinelPassword     string `yaml:"sentinel_password"`
	SentinelPasswordFile string `yaml:"sentinel_password_file"`

	TLS RedisTLS `yaml:"tls"`

	DialTimeout  Duration `yaml:"dial_timeout"`
	ReplyTimeout Duration `yaml:"reply_timeout"`
	PoolSize     int      `yaml:"pool_size"` // connections to each server
	// MinReplicas is how many replicas confirm a change before it is OK.
	MinReplicas int `yaml:"min_replicas"`
}

// RedisTLS says how to speak TLS to Redis, and to the Sentinels.
type RedisTLS struct {
	Enabled    bool   `yaml:"enabled"`
	CA         string `yaml:"ca"`          // PEM file of whom to trust; empty: the system's
	Cert       string `yaml:"cert"`        // PEM files of who we are; empty: nobody
	Key        string `yaml:"key"`         //
	ServerName string `yaml:"server_name"` // the name in the server's certificate; empty: the address's host
}

// Where the passwords are taken from when the file names none.
const (
	envRedisPassword    = "GREENLANE_REDIS_PASSWORD"
	envSentinelPassword = "GREENLANE_REDIS_SENTINEL_PASSWORD"
)

func defaultRedis() Redis {
	return Redis{
		Addresses: []string{}, DialTimeout: Duration(redisconn.DialTimeout), ReplyTimeout: Duration(redisconn.ReplyTimeout),
		PoolSize: redisconn.PoolSize,
	}
}

// On reports whether there is a Redis.
func (r Redis) On() bool { return len(r.Addresses) > 0 }

// Options returns how to connect, with the passwords and certificates read. The
// error joins every fault.
func (r Redis) Options() (redisconn.Options, error) {
	var faults []error
	bad := func(key string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("redis.%s: %w", key, err))
		}
	}
	o := redisconn.Options{
		Addresses: r.Addresses, Master: r.Master, Cluster: r.Cluster, Username: r.Username, SentinelUsername: r.SentinelUsername,
		DialTimeout: r.DialTimeout.D(), ReplyTimeout: r.ReplyTimeout.D(), PoolSize: r.PoolSize,
	}
	var err error
	o.Password, err = secret("password_file", r.Password, r.PasswordFile, envRedisPassword)
	bad("password", err)
	o.SentinelPassword, err = secret("sentinel_password_file", r.SentinelPassword, r.SentinelPasswordFile, envSentinelPassword)
	bad("sentinel_password", err)
	o.TLS, err = r.TLS.config()
	for _, err := range split(err) {
		bad("tls", err)
	}
	if r.On() {
		for _, err := range split(o.Check()) {
			faults = append(faults, fmt.Errorf("redis.%w", err))
		}
	}
	return o, errors.Join(faults...)
}

// secret returns what the file says, or what the named file holds, or what the
// environment has.
func secret(fileKey, said, file, env string) (string, error) {
	switch {
	case said != "" && file != "":
		return "", fmt.Errorf("%s must not be set beside it", fileKey)
	case said != "":
		return said, nil
	case file == "":
		return os.Getenv(env), nil
	}
	text, err := readFile(file)
	if err != nil {
		return "", err
	}
	found := strings.TrimRight(string(text), "\r\n")
	if found == "" || strings.ContainsAny(found, "\r\n") {
		return "", fmt.Errorf("%s must hold one line, the password", file)
	}
	return found, nil
}

// config loads the certificates; nil without TLS. The error joins every fault.
func (t RedisTLS) config() (*tls.Config, error) {
	if !t.Enabled {
		if t != (RedisTLS{}) {
			return nil, errors.New("enabled must be true for the others to count")
		}
		return nil, nil
	}
	var faults []error
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		text, err := readFile(t.CA)
		if err == nil && !c.RootCAs.AppendCertsFromPEM(text) {
			err = fmt.Errorf("ca: %s holds no PEM certificate", t.CA)
		}
		faults = append(faults, err)
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			faults = append(faults, fmt.Errorf("cert and key: %w", err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, errors.Join(faults...)
}

// check returns every fault, joined.
func (r Redis) check() error {
	_, err := r.Options()
	faults := split(err)
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.MinReplicas < 0 {
		bad("redis.min_replicas: %d must not be negative", r.MinReplicas)
	}
	if r.PoolSize < 1 || r.PoolSize > maxRedisPool {
		bad("redis.pool_size: %d must be between 1 and %d", r.PoolSize, maxRedisPool)
	}
	for _, d := range []struct {
		key   string
		value Duration
	}{{"dial_timeout", r.DialTimeout}, {"reply_timeout", r.ReplyTimeout}} {
		if d.value.D() < minRedisTimeout || d.value.D() > maxRedisTimeout {
			bad("redis.%s: %v must be between %v and %v", d.key, d.value, Duration(minRedisTimeout), Duration(maxRedisTimeout))
		}
	}
	return errors.Join(faults...)
}

const (
	maxRedisPool    = 10_000
	minRedisTimeout = 10 * time.Millisecond
	maxRedisTimeout = time.Minute
)
