using System.Globalization;

namespace Mooring.Benchmarks.Load;

/// <summary>One reading of a page in Prometheus text format.</summary>
internal sealed class Metrics
{
    private static readonly HttpClient Client = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(10) };

    private readonly List<(string Name, string Labels, double Value)> _samples = [];

    /// <summary>Null where there is no such page.</summary>
    public static async Task<Metrics?> ReadAsync(Uri url, CancellationToken cancellation)
    {
        try
        {
            using var response = await Client.GetAsync(url, cancellation);
            return response.IsSuccessStatusCode ? Parse(await response.Content.ReadAsStringAsync(cancellation)) : null;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>The sum over all label sets; null if there is none.</summary>
    public double? Value(string name)
    {
        var found = _samples.Where(sample => string.Equals(sample.Name, name, StringComparison.Ordinal)).ToList();
        return found.Count == 0 ? null : found.Sum(sample => sample.Value);
    }

    /// <summary>The upper bound of the bucket that holds this share of what was counted since an earlier reading; null without buckets.</summary>
    public double? Quantile(string name, double share, Metrics since)
    {
        var buckets = Buckets(name);
        var before = since.Buckets(name);
        var counts = buckets.Select(bucket => (bucket.Key, Count: bucket.Value - before.GetValueOrDefault(bucket.Key))).OrderBy(bucket => bucket.Key).ToList();
        return counts.Count == 0 || counts[^1].Count <= 0 ? null : counts.First(bucket => bucket.Count >= share * counts[^1].Count).Key;
    }

    private Dictionary<double, double> Buckets(string name) =>
        _samples.Where(sample => string.Equals(sample.Name, name + "_bucket", StringComparison.Ordinal))
            .GroupBy(sample => Bound(sample.Labels)).ToDictionary(group => group.Key, group => group.Sum(sample => sample.Value));

    private static double Bound(string labels)
    {
        const string Le = "le=\"";
        var at = labels.IndexOf(Le, StringComparison.Ordinal) + Le.Length;
        var text = labels[at..labels.IndexOf('"', at)];
        return text is "+Inf" ? double.PositiveInfinity : double.Parse(text, CultureInfo.InvariantCulture);
    }

    private static Metrics Parse(string text)
    {
        var metrics = new Metrics();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var space = line.LastIndexOf(' ');
            if (line.StartsWith('#') || space < 0 || !double.TryParse(line[(space + 1)..], CultureInfo.InvariantCulture, out var value))
            {
                continue;
            }

            var brace = line.IndexOf('{', StringComparison.Ordinal);
            metrics._samples.Add(brace < 0 ? (line[..space], "", value) : (line[..brace], line[brace..space], value));
        }

        return metrics;
    }
}
