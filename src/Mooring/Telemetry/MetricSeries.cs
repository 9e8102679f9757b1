using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Mooring.Telemetry;

/// <summary>All values of one instrument, by tag set, and how they read in the Prometheus text format.</summary>
internal sealed class MetricSeries(Instrument instrument)
{
    /// <summary>Tag values are fixed sets; whoever breaks that must not fill the memory.</summary>
    private const int MostTagSets = 1000;

    private static readonly double[] DefaultBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Value> _values = new(StringComparer.Ordinal);
    private readonly double[]? _bounds = BoundsOf(instrument);
    private readonly (object? First, object? Second, Value? Value)[] _recent = new (object?, object?, Value?)[8];
    private int _nextRecent;

    public string Name { get; } = NameOf(instrument);

    private bool IsHistogram => _bounds is not null;

    private bool IsTotal => instrument.GetType().Name.Contains("Counter", StringComparison.Ordinal) && !IsUpDown;

    private bool IsUpDown => instrument.GetType().Name.Contains("UpDown", StringComparison.Ordinal);

    public void Record(double measurement, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_gate)
        {
            if (Recent(tags) is { } recent)
            {
                recent.Record(measurement, _bounds, instrument.IsObservable);
                return;
            }

            var key = Labels(tags);
            if (!_values.TryGetValue(key, out var value))
            {
                if (_values.Count >= MostTagSets)
                {
                    return;
                }

                _values.Add(key, value = new Value(_bounds));
            }

            if (tags.Length == 2)
            {
                _recent[_nextRecent++ % _recent.Length] = (tags[0].Value, tags[1].Value, value);
            }

            value.Record(measurement, _bounds, instrument.IsObservable);
        }
    }

    /// <summary>Forgets what the last look showed, so that a server that is gone is not shown for ever; for instruments that are asked at each look.</summary>
    public void BeginLook()
    {
        if (!instrument.IsObservable)
        {
            return;
        }

        lock (_gate)
        {
            _values.Clear();
            Array.Clear(_recent);
        }
    }

    /// <summary>The values of a tag set that was seen a moment ago, found without building its text: tag values are the same few string objects.</summary>
    private Value? Recent(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length != 2)
        {
            return null;
        }

        foreach (var (first, second, value) in _recent)
        {
            if (value is not null && ReferenceEquals(first, tags[0].Value) && ReferenceEquals(second, tags[1].Value))
            {
                return value;
            }
        }

        return null;
    }

    public void Write(StringBuilder text)
    {
        lock (_gate)
        {
            if (_values.Count == 0)
            {
                return;
            }

            if (instrument.Description is { Length: > 0 } description)
            {
                text.Append("# HELP ").Append(Name).Append(' ').Append(description.ReplaceLineEndings(" ")).Append('\n');
            }

            text.Append("# TYPE ").Append(Name).Append(' ').Append(IsHistogram ? "histogram" : IsTotal ? "counter" : "gauge").Append('\n');
            foreach (var (labels, value) in _values)
            {
                Write(text, labels, value);
            }
        }
    }

    private void Write(StringBuilder text, string labels, Value value)
    {
        if (_bounds is null)
        {
            Line(text, Name, labels, value.Sum);
            return;
        }

        long below = 0;
        for (var i = 0; i <= _bounds.Length; i++)
        {
            below += value.Buckets[i];
            var bound = i == _bounds.Length ? "+Inf" : _bounds[i].ToString(CultureInfo.InvariantCulture);
            Line(text, Name + "_bucket", labels.Length == 0 ? $"le=\"{bound}\"" : $"{labels},le=\"{bound}\"", below);
        }

        Line(text, Name + "_sum", labels, value.Sum);
        Line(text, Name + "_count", labels, below);
    }

    private static void Line(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }

    /// <summary>Dots become underscores; the unit and, for counters, <c>_total</c> are appended (OpenTelemetry, "Prometheus and OpenMetrics Compatibility").</summary>
    private static string NameOf(Instrument instrument)
    {
        var name = instrument.Name.Replace('.', '_').Replace('-', '_');
        var unit = instrument.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        if (unit.Length > 0 && !name.EndsWith(unit, StringComparison.Ordinal))
        {
            name += unit;
        }

        var kind = instrument.GetType().Name;
        return kind.Contains("Counter", StringComparison.Ordinal) && !kind.Contains("UpDown", StringComparison.Ordinal) ? name + "_total" : name;
    }

    private static double[]? BoundsOf(Instrument instrument) => instrument switch
    {
        Histogram<double> histogram => [.. histogram.Advice?.HistogramBucketBoundaries ?? DefaultBounds],
        Histogram<long> or Histogram<int> => DefaultBounds,
        _ => null,
    };

    private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var text = new StringBuilder();
        foreach (var (key, value) in tags)
        {
            var escaped = Convert.ToString(value, CultureInfo.InvariantCulture)?
                .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
            text.Append(text.Length == 0 ? "" : ",").Append(key.Replace('.', '_')).Append("=\"").Append(escaped).Append('"');
        }

        return text.ToString();
    }

    private sealed class Value(double[]? bounds)
    {
        public double Sum { get; set; }

        public long[] Buckets { get; } = bounds is null ? [] : new long[bounds.Length + 1];

        public void Record(double measurement, double[]? within, bool replaces)
        {
            Sum = replaces ? measurement : Sum + measurement;
            if (within is not null)
            {
                var at = Array.BinarySearch(within, measurement);
                Buckets[at < 0 ? ~at : at]++;
            }
        }
    }
}
