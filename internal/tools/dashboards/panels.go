package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Colours mean the same everywhere.
const (
	good, warn, bad, calm = "green", "orange", "red", "blue"
)

// source is the data source that the reader picks.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// query is one expression and how its series are called.
type query struct{ expr, legend string }

func board(uid, title, about, window string, variables ...cog.Builder[dashboard.VariableModel]) *dashboard.DashboardBuilder {
	b := dashboard.NewDashboardBuilder(title).Uid(uid).Description(about).Tags([]string{"greenlane"}).
		Time(window, "now").Refresh("10s").Timezone("browser").Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Greenlane").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"greenlane"}).
			AsDropdown(true).KeepTime(true).IncludeVars(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, v := range variables {
		b = b.WithVariable(v)
	}
	return b
}

// variable lets the reader pick one or more values of a label.
func variable(name, label, of string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).
		Query(dashboard.StringOrMap{String: new("label_values(" + of + ", " + name + ")")}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*")
}

func row(title string) *dashboard.RowBuilder { return dashboard.NewRowBuilder(title) }

func target(q query) *prometheus.DataqueryBuilder {
	b := prometheus.NewDataqueryBuilder().Expr(q.expr)
	if q.legend != "" {
		b = b.LegendFormat(q.legend)
	}
	return b
}

// steps are the colours of a figure, from each value up.
func steps(first string, rest ...dashboard.Threshold) cog.Builder[dashboard.ThresholdsConfig] {
	all := append([]dashboard.Threshold{{Color: first}}, rest...)
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(all)
}

func from(v float64, colour string) dashboard.Threshold {
	return dashboard.Threshold{Value: &v, Color: colour}
}

// one is a single figure with its recent course.
func one(title, about, unit, expr string, colours cog.Builder[dashboard.ThresholdsConfig]) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(title).Description(about).Unit(unit).Datasource(source).Span(3).Height(4).
		Thresholds(colours).ColorMode(common.BigValueColorModeBackground).GraphMode(common.BigValueGraphModeArea).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		WithTarget(target(query{expr: expr}).RefId("A"))
}

// lines is a figure over time.
func lines(title, about, unit string, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().Title(title).Description(about).Unit(unit).Datasource(source).Span(12).Height(8).Min(0).
		LineWidth(2).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for i, q := range queries {
		p = p.WithTarget(target(q).RefId(string(rune('A' + i))))
	}
	return p
}

// share is a share over time, on a scale of its own: 0 to 100 %.
func share(title, about string, queries ...query) *timeseries.PanelBuilder {
	return lines(title, about, "percentunit", queries...).Max(1)
}

// stacked piles the series up.
func stacked(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(60).LineWidth(1)
}

// limit draws a line at a value.
func limit(p *timeseries.PanelBuilder, at float64) *timeseries.PanelBuilder {
	return p.Thresholds(steps("transparent", from(at, bad))).
		ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
}

// column is one figure of a table whose rows are label sets.
type column struct {
	name, expr, unit string
	colours          cog.Builder[dashboard.ThresholdsConfig] // nil: plain
}

// rows is a table: a row for each set of the given labels.
func rows(title, about string, labels []string, columns ...column) *table.PanelBuilder {
	p := table.NewPanelBuilder().Title(title).Description(about).Datasource(source).Span(24).Height(10).Filterable(true)
	names, order, hidden := map[string]string{}, map[string]int{}, map[string]bool{"Time": true}
	for i, l := range labels {
		order[l] = i
	}
	for i, c := range columns {
		ref := string(rune('A' + i))
		p = p.WithTarget(target(query{expr: c.expr}).Instant().Format(prometheus.PromQueryFormatTable).RefId(ref))
		names["Value #"+ref] = c.name
		order["Value #"+ref] = len(labels) + i
		set := []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}}
		if c.colours != nil {
			t, err := c.colours.Build()
			if err != nil {
				p.RecordError(c.name, err)
			}
			set = append(set, dashboard.DynamicConfigValue{Id: "thresholds", Value: t},
				dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]string{"type": "color-background", "mode": "gradient"}})
		}
		p = p.OverrideByName(c.name, set)
	}
	return p.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"renameByName": names, "indexByName": order, "excludeByName": hidden,
		}})
}

// heat is a histogram over time.
func heat(title, about, unit, expr string) *heatmap.PanelBuilder {
	return heatmap.NewPanelBuilder().Title(title).Description(about).Datasource(source).Span(12).Height(8).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(unit)).
		WithTarget(target(query{expr: expr, legend: "{{le}}"}).Format(prometheus.PromQueryFormatHeatmap).RefId("A"))
}
