namespace Mooring.Benchmarks.Suite;

internal static class Medians
{
    /// <summary>NaN without values.</summary>
    public static double Of(IEnumerable<double> values)
    {
        var sorted = values.Where(value => !double.IsNaN(value)).Order().ToArray();
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The median of the ratios of what was measured side by side; steadier than the ratio of two medians when the machine's speed drifts.</summary>
    public static double OfRatios<T>(IReadOnlyList<T> ours, IReadOnlyList<T> theirs, Func<T, double> figure) =>
        Of(ours.Zip(theirs, (our, their) => figure(our) / figure(their)));
}
