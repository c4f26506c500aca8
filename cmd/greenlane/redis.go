package main

import (
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"greenlane/internal/config"
	"greenlane/internal/redisconn"
)

// redisFlags say which Redis a command talks to, without a daemon between.
type redisFlags struct {
	file   string
	redis  string
	given  config.Redis
	region string
}

func (f *redisFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.file, "config", "", "daemon's configuration `file`: its redis and number settings count; flags win over it")
	fl.StringVar(&f.redis, "redis", "", "`host:port` of Redis, of the Sentinels or of Cluster nodes, separated by commas")
	fl.StringVar(&f.given.Master, "redis-master", "", "`name` under which the Sentinels know the master")
	fl.BoolVar(&f.given.Cluster, "redis-cluster", false, "the one address is of a Cluster")
	fl.StringVar(&f.given.Username, "redis-username", "", "ACL `user`; the password comes from GREENLANE_REDIS_PASSWORD or a file")
	fl.StringVar(&f.given.PasswordFile, "redis-password-file", "", "`file` whose one line is the password")
	fl.BoolVar(&f.given.TLS.Enabled, "redis-tls", false, "speak TLS to Redis")
	fl.StringVar(&f.given.TLS.CA, "redis-ca", "", "PEM `file` of whom to trust")
	fl.StringVar(&f.region, "region", "", "`country` in which numbers without a country code are read (default CN)")
}

// load returns the daemon's configuration with the flags applied to it.
func (f *redisFlags) load(cmd *cobra.Command) (*config.Config, redisconn.Options, error) {
	given := config.Flags{}
	if f.redis != "" {
		given.Redis = &f.redis
	}
	c, err := config.Load(f.file, given)
	if err != nil {
		return nil, redisconn.Options{}, usageError{err}
	}
	for name, set := range map[string]func(){
		"redis-master":        func() { c.Redis.Master = f.given.Master },
		"redis-cluster":       func() { c.Redis.Cluster = f.given.Cluster },
		"redis-username":      func() { c.Redis.Username = f.given.Username },
		"redis-password-file": func() { c.Redis.PasswordFile, c.Redis.Password = f.given.PasswordFile, "" },
		"redis-tls":           func() { c.Redis.TLS.Enabled = f.given.TLS.Enabled },
		"redis-ca":            func() { c.Redis.TLS.CA = f.given.TLS.CA },
		"region":              func() { c.Number.Region = f.region },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if !c.Redis.On() {
		return nil, redisconn.Options{}, usageErrorf("say where Redis is: --redis HOST:PORT, or --config FILE with redis.addresses")
	}
	o, err := c.Redis.Options()
	if err != nil {
		return nil, redisconn.Options{}, usageError{err}
	}
	o.ClientName = "greenlane-tool"
	return c, o, nil
}

// connect returns a client of the Redis that the flags name.
func (f *redisFlags) connect(cmd *cobra.Command) (*config.Config, redis.UniversalClient, error) {
	c, o, err := f.load(cmd)
	if err != nil {
		return nil, nil, err
	}
	client, err := redisconn.New(o)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return c, client, nil
}
