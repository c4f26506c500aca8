package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// Validate returns every fault, joined; nil for a sound configuration. It reads
// the files of tls, auth, redis and privacy, and nothing else from outside.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	faults = append(faults, c.checkAddress("listen", c.Listen))
	if c.HTTP != "" {
		faults = append(faults, c.checkAddress("http", c.HTTP))
	}
	for _, name := range c.HTTPHosts {
		if !hostName.MatchString(name) {
			bad("http_hosts: %q is no host name: a name without port, such as wallboard.example.com, is allowed", name)
		}
	}
	if c.Data == "" {
		bad("data: must name a directory")
	}
	switch c.Engine {
	case EngineEmbedded:
	case EngineRedis:
		if !c.Redis.On() {
			bad("engine: redis needs redis.addresses")
		}
	default:
		bad("engine: %q is unknown: embedded or redis is allowed", c.Engine)
	}
	faults = append(faults, c.Redis.check())
	faults = append(faults, split(c.checkAuth())...)
	faults = append(faults, c.Audit.check())
	faults = append(faults, split(c.Limits.check())...)
	faults = append(faults, split(checkSwitches(c.Switches))...)
	if _, err := c.Privacy.Secrets(); err != nil {
		faults = append(faults, split(err)...)
	}
	if _, err := tiering.NewNormalizer(c.Number.Region); err != nil {
		bad("number.region: %w", err)
	}
	between := func(key string, d Duration, least, most time.Duration) {
		if d.D() < least || d.D() > most {
			bad("%s: %v must be between %v and %v", key, d, Duration(least), Duration(most))
		}
	}
	between("tier_lookup_deadline", c.TierLookupDeadline, time.Millisecond, 5*time.Second)
	between("announce_every", c.AnnounceEvery, time.Second, time.Hour)
	between("heartbeat_every", c.HeartbeatEvery, 100*time.Millisecond, time.Minute)
	between("stop_timeout", c.StopTimeout, 100*time.Millisecond, 5*time.Minute)
	faults = append(faults, c.Grading.check(), c.checkCare())
	_, err := c.BuildSites()
	return errors.Join(append(faults, err)...)
}

// BuildSites returns every site as the queue core takes it, and their faults.
func (c *Config) BuildSites() ([]queue.Site, error) {
	var faults []error
	var out []queue.Site
	seen := map[string]bool{}
	for i := range c.Sites {
		s := &c.Sites[i]
		where := fmt.Sprintf("sites[%d]", i)
		if s.Name != "" {
			where += " " + s.Name
		}
		site, err := s.Build()
		if s.Name != "" && !validSiteName(s.Name) {
			err = errors.Join(fmt.Errorf("name: %q must be 1 to 64 letters, digits, '.', '_' or '-', and not begin with '.'", s.Name), err)
		}
		for _, e := range split(err) {
			faults = append(faults, fmt.Errorf("%s: %w", where, e))
		}
		if seen[s.Name] {
			faults = append(faults, fmt.Errorf("%s: name: %q stands there twice", where, s.Name))
		}
		seen[s.Name] = true
		out = append(out, site)
	}
	if len(c.Sites) == 0 {
		faults = append(faults, errors.New("sites: at least one site is needed"))
	}
	return out, errors.Join(faults...)
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

var siteName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// validSiteName also keeps a site's name usable as the name of its directory.
func validSiteName(s string) bool {
	return len(s) <= 64 && siteName.MatchString(s)
}

// split returns the faults that were joined in err, one by one.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, split(e)...)
	}
	return out
}

// checkAddress refuses what is no address, and one that others can reach when
// neither TLS with proved identities nor insecure says that this is meant.
func (c *Config) checkAddress(key, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: %q is no address: host:port is allowed", key, addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s: %q has no port that there is: a number from 0 (any free one) to 65535 is allowed", key, addr)
	}
	if c.Insecure || isLoopback(host) {
		return nil
	}
	var need []string
	why := "can be reached by others"
	if !c.TLS.On() {
		need = append(need, "tls.cert and tls.key")
	}
	if !c.Asked() {
		why += ", and nobody is asked who they are"
		need = append(need, "tls.client_ca with auth.certificates, or auth.tokens")
	}
	if len(need) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %q %s: set %s, or say --insecure, or listen on 127.0.0.1",
		key, addr, why, strings.Join(need, ", and "))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
