// Package config reads the daemon's configuration: the defaults of the design,
// then a YAML file, then the flags, then one check that reports every fault at
// once. Unknown keys are faults, and every fault of the file names its line.
//
// What does not live here: what the settings do. A site's settings become a
// queue.Site, and only that package says what is allowed in one.
package config
