package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

const headline = "Answered in time / (answered + abandoned). "

func supervisor() *dashboard.DashboardBuilder {
	const (
		site   = `{site=~"$site"}`
		tier   = `site_queue_tier:greenlane_`
		judged = ` and on (site, queue, tier) site_queue_tier:greenlane_service_level_target:max`
		perMin = ` * 60`
	)
	callers := func(metric string) string { return "sum(" + tier + metric + ":max" + site + ")" }
	return board("greenlane-supervisor", "Greenlane: supervisor",
		"How the call centre stands, for those who run its floor. Levels of today are the engine's own: by the interval in which a call joined.",
		"now-3h", variable("site", "Site", "greenlane_events_total")).
		WithRow(row("Now")).
		WithPanel(one("Waiting", "Callers who wait now, offered ones included.", "short", callers("calls_waiting"), steps(calm, from(20, warn), from(100, bad)))).
		WithPanel(one("Beyond the threshold", "Callers who have waited longer than their queue's answer threshold.", "short",
			callers("calls_waiting_late"), steps(good, from(1, bad)))).
		WithPanel(one("Longest wait", "Of the callers who wait now. 20 s is the usual threshold.", "s",
			"max("+tier+"oldest_wait_seconds:max"+site+")", steps(good, from(10, warn), from(20, bad)))).
		WithPanel(one("VIPs waiting", "They come first in every queue; each one means that nobody who could answer is free.", "short",
			`sum(site_queue_tier:greenlane_calls_waiting:max{site=~"$site", tier="vip"})`, steps(good, from(1, warn), from(3, bad)))).
		WithPanel(one("Agents ready", "Ready for the next caller.", "short",
			`sum(site_state:greenlane_agents:max{site=~"$site", state="ready"})`, steps(bad, from(1, good)))).
		WithPanel(one("Occupancy", "Share of the agents at work who are busy with a caller. Above 90 % for long, waits grow steeply.", "percentunit",
			"avg(site:greenlane_occupancy:ratio"+site+")", steps(calm, from(0.85, warn), from(0.92, bad)))).
		WithPanel(one("Callbacks open", "Promised and not done.", "short",
			`sum(max by (site, state) (greenlane_callbacks{site=~"$site", state=~"pending|due|offered|claimed"}))`, steps(calm))).
		WithPanel(one("Callbacks kept, 24 h", "Callers reached, or who wanted no call any more, of all callbacks that ended and were not withdrawn.", "percentunit",
			"avg(site:greenlane_callbacks_kept:ratio1d"+site+")", steps(bad, from(0.95, warn), from(1, good)))).
		WithRow(row("Service level")).
		WithPanel(rows("Queues and tiers", headline+"Today: of the calls that joined since midnight, exactly. 30 min and 5 min: of the calls that ended then. The blacklist is counted and has no target.",
			[]string{"site", "queue", "tier"},
			column{"Today", tier + "service_level_today:max" + site, "percentunit", steps(bad, from(0.8, warn), from(0.85, good))},
			column{"Target", tier + "service_level_target:max" + site, "percentunit", nil},
			column{"30 min", tier + "service_level:ratio30m" + site, "percentunit", steps(bad, from(0.8, warn), from(0.85, good))},
			column{"5 min", tier + "service_level:ratio5m" + site, "percentunit", nil},
			column{"Waiting", tier + "calls_waiting:max" + site, "short", nil},
			column{"Late", tier + "calls_waiting_late:max" + site, "short", steps("transparent", from(1, bad))},
			column{"Longest wait", tier + "oldest_wait_seconds:max" + site, "s", steps("transparent", from(10, warn), from(20, bad))},
			column{"Average answer", tier + "answer_speed_seconds:avg5m" + site, "s", nil},
		)).
		WithPanel(share("Service level of each queue, 30 min", headline+"Tiers with a target only.", query{"site_queue:greenlane_service_level:ratio30m" + site, "{{queue}}"})).
		WithPanel(share("Service level of each tier, 30 min", headline+"All queues together.",
			query{`sum by (tier) (increase(site_queue_tier:greenlane_calls_answered_in_time:max{site=~"$site"}[30m])` + judged +
				`) / (sum by (tier) (site_queue_tier:greenlane_calls_served:increase30m{site=~"$site"}` + judged + `) > 0)`, "{{tier}}"},
			query{`max by (tier) (site_queue_tier:greenlane_service_level_target:max{site=~"$site"})`, "target {{tier}}"})).
		WithRow(row("Work")).
		WithPanel(lines("Calls per minute", "Joined a queue, were answered, were hung up on.", "short",
			query{`sum(rate(site_queue_tier:greenlane_calls_joined:max{site=~"$site"}[5m]))` + perMin, "joined"},
			query{`sum(rate(site_queue_tier:greenlane_calls_answered:max{site=~"$site"}[5m]))` + perMin, "answered"},
			query{`sum(rate(site_queue_tier:greenlane_calls_abandoned:max{site=~"$site"}[5m]))` + perMin, "abandoned"})).
		WithPanel(stacked(lines("Agents", "Every agent once, by what they do.", "short",
			query{`sum by (state) (site_state:greenlane_agents:max{site=~"$site", state!="signed_out"})`, "{{state}}"}))).
		WithPanel(stacked(lines("Waiting callers", "By tier.", "short", query{`sum by (tier) (site_queue_tier:greenlane_calls_waiting:max{site=~"$site"})`, "{{tier}}"}))).
		WithPanel(stacked(lines("Callbacks", "Open ones, by state.", "short",
			query{`sum by (state) (max by (site, state) (greenlane_callbacks{site=~"$site", state=~"pending|due|offered|claimed"}))`, "{{state}}"})))
}

func queueDetail() *dashboard.DashboardBuilder {
	const (
		of  = `{site=~"$site", queue=~"$queue"}`
		sqt = `site_queue_tier:greenlane_`
	)
	perTier := func(metric, window string) string {
		return `sum by (tier) (rate(site_queue_tier:greenlane_` + metric + `:max` + of + `[` + window + `])) * 60`
	}
	ended := func(metric string) string {
		return `sum(max by (site, queue, tier) (rate(greenlane_calls_` + metric + `_total` + of + `[5m]))) * 60`
	}
	quantile := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le) (max by (site, queue, tier, le) (rate(greenlane_wait_seconds_bucket` + of + `[5m]))))`
	}
	return board("greenlane-queue", "Greenlane: queue detail", "One queue, or some, tier by tier.", "now-3h",
		variable("site", "Site", "greenlane_events_total"), variable("queue", "Queue", `greenlane_queue_open{site=~"$site"}`)).
		WithRow(row("Service level")).
		WithPanel(share("Service level, 5 min", headline+"By tier, of the calls that ended in the last five minutes.",
			query{sqt + "service_level:ratio5m" + of, "{{queue}} {{tier}}"})).
		WithPanel(share("Missed, 30 min", "Share of the callers who were not answered in time, counted at the moment the threshold passed. What the alerts look at.",
			query{sqt + "miss:ratio30m" + of, "{{queue}} {{tier}}"},
			query{"1 - " + sqt + "service_level_target:max" + of, "allowed {{queue}} {{tier}}"})).
		WithPanel(limit(lines("Longest wait", "Of the callers who wait now. The dashed line is 20 s.", "s", query{sqt + "oldest_wait_seconds:max" + of, "{{queue}} {{tier}}"}), 20)).
		WithPanel(stacked(lines("Waiting callers", "By tier, offered ones included.", "short", query{"sum by (tier) (" + sqt + "calls_waiting:max" + of + ")", "{{tier}}"}))).
		WithRow(row("Waits")).
		WithPanel(heat("Waits of answered calls", "How many calls per interval were answered after how long.", "s",
			`sum by (le) (max by (site, queue, tier, le) (increase(greenlane_wait_seconds_bucket`+of+`[$__rate_interval])))`)).
		WithPanel(lines("Wait of answered calls", "Half, nine of ten, 99 of 100 were answered within this; and the average speed of answer.", "s",
			query{quantile("0.5"), "half"}, query{quantile("0.9"), "9 of 10"}, query{quantile("0.99"), "99 of 100"},
			query{`sum(max by (site, queue, tier) (rate(greenlane_wait_seconds_sum` + of + `[5m]))) / (sum(max by (site, queue, tier) (rate(greenlane_wait_seconds_count` + of + `[5m]))) > 0)`, "average"})).
		WithRow(row("Calls")).
		WithPanel(lines("Arrivals per minute", "By tier.", "short", query{perTier("calls_joined", "5m"), "{{tier}}"})).
		WithPanel(lines("Arrivals per minute, against yesterday", "All tiers.", "short",
			query{`sum(rate(` + sqt + `calls_joined:max` + of + `[15m])) * 60`, "today"},
			query{`sum(rate(` + sqt + `calls_joined:max` + of + `[15m] offset 1d)) * 60`, "yesterday"})).
		WithPanel(stacked(lines("How calls end, per minute", "Answered in time, answered late, hung up on (short: below 5 s), and the rest.", "short",
			query{ended("answered_in_time"), "answered in time"},
			query{`sum(max by (site, queue, tier) (rate(greenlane_calls_answered_total` + of + `[5m]) - rate(greenlane_calls_answered_in_time_total` + of + `[5m]))) * 60`, "answered late"},
			query{`sum by (kind) (max by (site, queue, tier, kind) (rate(greenlane_calls_abandoned_total` + of + `[5m]))) * 60`, "abandoned {{kind}}"},
			query{ended("timed_out"), "timed out"}, query{ended("overflowed"), "overflowed"}, query{ended("refused"), "refused"}))).
		WithPanel(lines("Offers for each answer", "1 means that every offer is taken at once; more, that agents let calls ring or decline.", "short",
			query{`sum(max by (site, queue, tier) (rate(greenlane_offers_total` + of + `[15m]))) / (sum(rate(` + sqt + `calls_answered:max` + of + `[15m])) > 0)`, "offers"})).
		WithRow(row("Agents")).
		WithPanel(stacked(lines("Agents", "Who serve the queue, by what they do. An agent of several queues is in each.", "short",
			query{`sum by (state) (site_queue_state:greenlane_queue_agents:max` + of + `)`, "{{state}}"}))).
		WithPanel(share("Occupancy", "Share of the agents at work who are busy with a caller.", query{"site_queue:greenlane_occupancy:ratio" + of, "{{queue}}"})).
		WithPanel(lines("Average talk", "Of the calls that ended after an answer.", "s",
			query{`sum by (queue) (max by (site, queue, tier) (rate(greenlane_talk_seconds_total` + of + `[15m]))) / (sum by (queue) (max by (site, queue, tier) (rate(greenlane_calls_completed_total` + of + `[15m]))) > 0)`, "{{queue}}"})).
		WithPanel(lines("Callbacks due", "Not yet offered to anybody.", "short", query{`max by (queue) (greenlane_queue_callbacks_due` + of + `)`, "{{queue}}"}))
}

func operations() *dashboard.DashboardBuilder {
	const at = `{instance=~"$instance"}`
	quantile := func(q, metric, by string) string {
		return `histogram_quantile(` + q + `, sum by (le, ` + by + `) (rate(greenlaned_` + metric + `_bucket` + at + `[5m])))`
	}
	rate := func(metric, by string) string {
		return `sum by (` + by + `) (rate(greenlaned_` + metric + at + `[5m]))`
	}
	return board("greenlane-operations", "Greenlane: operations", "The daemons: what they are asked, how fast they answer, what they need.", "now-1h",
		variable("instance", "Daemon", "greenlaned_build_info")).
		WithRow(row("Health")).
		WithPanel(one("Daemons up", "Whose metrics could be read.", "short", `sum(up{job="greenlane", instance=~"$instance"})`, steps(bad, from(1, good)))).
		WithPanel(one("Green channel violations", "Must be 0 for ever.", "short", `sum(max by (site) (greenlane_green_channel_violations_total))`, steps(good, from(1, bad)))).
		WithPanel(one("Engines silent", "Scrapes of the last five minutes in which an engine did not answer.", "short",
			`sum(increase(greenlaned_scrape_errors_total`+at+`[5m]))`, steps(good, from(1, bad)))).
		WithPanel(one("Tier directory", "1 while it does not answer: callers are served as ordinary ones.", "short",
			`max(greenlaned_tier_directory_down`+at+`)`, steps(good, from(1, bad)))).
		WithPanel(one("Event lag", "Events that are written and not yet delivered by the daemon.", "short",
			`max(greenlaned_event_lag_events`+at+`)`, steps(good, from(1000, warn), from(5000, bad)))).
		WithPanel(one("Events per second", "Written to the sites' logs.", "short", `sum(max by (site) (rate(greenlane_events_total[5m])))`, steps(calm))).
		WithPanel(one("Memory", "Of the largest daemon.", "bytes", `max(process_resident_memory_bytes`+at+`)`, steps(calm))).
		WithPanel(one("Scrape", "How long the longest reading of metrics took.", "s", `max(scrape_duration_seconds{job="greenlane", instance=~"$instance"})`,
			steps(good, from(0.5, warn), from(2, bad)))).
		WithRow(row("Requests")).
		WithPanel(lines("Requests per second", "By method, streams that ended included.", "reqps", query{rate("requests_total", "method"), "{{method}}"})).
		WithPanel(lines("Requests per second, by code", "What is not OK.", "reqps", query{`sum by (code) (rate(greenlaned_requests_total{instance=~"$instance"}[5m]))`, "{{code}}"})).
		WithPanel(lines("Duration, 99 of 100", "By method; streams and long polls are left out.", "s", query{quantile("0.99", "request_duration_seconds", "method"), "{{method}}"})).
		WithPanel(lines("Open streams", "And long polls.", "short", query{`sum by (kind) (greenlaned_open_streams` + at + `)`, "{{kind}}"})).
		WithRow(row("Engine")).
		WithPanel(lines("Commit", "Time to make a batch durable.", "s",
			query{quantile("0.5", "commit_duration_seconds", "site"), "half, {{site}}"}, query{quantile("0.99", "commit_duration_seconds", "site"), "99 of 100, {{site}}"})).
		WithPanel(lines("Commits per second, and how many share one", "Batches grow when there is much to do.", "short",
			query{rate("commit_duration_seconds_count", "site"), "commits, {{site}}"},
			query{`sum by (site) (rate(greenlaned_commit_batch_commands_sum` + at + `[5m])) / (sum by (site) (rate(greenlaned_commit_batch_commands_count` + at + `[5m])) > 0)`, "commands in one, {{site}}"})).
		WithPanel(lines("Deciding", "Time to decide a batch, 99 of 100.", "s", query{quantile("0.99", "decide_duration_seconds", "site"), "{{site}}"})).
		WithPanel(lines("Round trips to the store's server, 99 of 100", "Engines with a server only; by command.", "s",
			query{quantile("0.99", "store_round_trip_duration_seconds", "command"), "{{command}}"})).
		WithRow(row("Tiers and events")).
		WithPanel(lines("Tier lookups per second", "Provisional: not answered in time.", "reqps", query{rate("tier_lookups_total", "result"), "{{result}}"})).
		WithPanel(lines("Tier lookup, 99 of 100", "What an arriving call waits for it.", "s", query{`histogram_quantile(0.99, sum by (le) (rate(greenlaned_tier_lookup_duration_seconds_bucket` + at + `[5m])))`, "lookup"})).
		WithPanel(lines("Event lag", "Events not yet delivered.", "short", query{`max by (instance, site) (greenlaned_event_lag_events` + at + `)`, "{{instance}} {{site}}"})).
		WithPanel(lines("Subscribers, and those cut off", "A subscriber that does not read is cut off and resumes from its cursor.", "short",
			query{`sum by (site) (greenlaned_event_subscribers` + at + `)`, "subscribers, {{site}}"},
			query{`sum by (site) (increase(greenlaned_event_subscribers_cut_off_total` + at + `[5m]))`, "cut off in 5 min, {{site}}"})).
		WithRow(row("Process")).
		WithPanel(lines("Processor", "Cores in use.", "short", query{`rate(process_cpu_seconds_total{job="greenlane", instance=~"$instance"}[5m])`, "{{instance}}"})).
		WithPanel(lines("Memory", "Resident, and the part that is live heap.", "bytes",
			query{`process_resident_memory_bytes{job="greenlane", instance=~"$instance"}`, "resident {{instance}}"},
			query{`go_memstats_heap_alloc_bytes{job="greenlane", instance=~"$instance"}`, "heap {{instance}}"})).
		WithPanel(lines("Goroutines", "", "short", query{`go_goroutines{job="greenlane", instance=~"$instance"}`, "{{instance}}"})).
		WithPanel(lines("Open files", "And what the system allows.", "short", query{`process_open_fds{job="greenlane", instance=~"$instance"}`, "open {{instance}}"},
			query{`process_max_fds{job="greenlane", instance=~"$instance"}`, "allowed {{instance}}"}))
}
