using System.Reflection;

namespace Mooring.Host.Cli;

/// <summary>What was built, from the assembly.</summary>
/// <param name="Number">As in <c>0.1.0</c>.</param>
/// <param name="Commit">Null when it was built outside a checkout.</param>
internal sealed record ProductVersion(string Number, string? Commit)
{
    public static ProductVersion Current { get; } = Parse(
        typeof(ProductVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0");

    /// <summary>The SDK joins version and commit with a plus sign.</summary>
    public static ProductVersion Parse(string informational)
    {
        var plus = informational.IndexOf('+');
        return plus < 0 ? new(informational, null) : new(informational[..plus], informational[(plus + 1)..]);
    }
}
