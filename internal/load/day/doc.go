// Package day makes synthetic days of a call centre: when callers ring, what
// they want, how long they are patient, how long an agent talks to them, and
// whether they ring again after giving up.
//
// Everything is drawn from published statistics of a real call centre (the
// file's source and acknowledgement are in Stats.Source) and from one seed: the
// same options give the same day, on every machine. The package is pure; it
// reads no clock and knows no API. internal/load plays its days to a daemon.
//
// The model is the one the statistics recommend: arrivals are a doubly
// stochastic Poisson process (a gamma factor for the day, one for each half
// hour, Poisson within), service times are lognormal by call type with a share
// of very short calls, and patience has a piecewise constant hazard.
package day
