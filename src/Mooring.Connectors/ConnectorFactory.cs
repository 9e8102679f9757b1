using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Mooring.Connectors.Docs;
using Mooring.Upstreams;

namespace Mooring.Connectors;

/// <summary>Makes the built-in connectors by the names they have in the configuration. Whoever gets one disposes it.</summary>
public sealed class ConnectorFactory(TimeProvider time, ILoggerFactory loggers)
{
    /// <summary>The names that may stand under <c>connectors</c> in the configuration.</summary>
    public static IReadOnlyList<string> Names { get; } = [DocsConnector.ConnectorName];

    /// <summary>Says everything that is wrong with one connector of the configuration; nothing when it can be made.</summary>
    /// <param name="baseDirectory">What relative paths in the settings are relative to.</param>
    public static IReadOnlyList<string> Validate(string name, JsonObject settings, string baseDirectory) => name switch
    {
        DocsConnector.ConnectorName => DocsConnector.Validate(settings, baseDirectory),
        _ => [Unknown(name)],
    };

    /// <param name="baseDirectory">What relative paths in the settings are relative to.</param>
    /// <exception cref="ArgumentException">No connector has this name, or its settings are not right; the message says all of it.</exception>
    public IConnector Create(string name, JsonObject settings, string baseDirectory) => name switch
    {
        DocsConnector.ConnectorName => new DocsConnector(settings, baseDirectory, time, loggers),
        _ => throw new ArgumentException(Unknown(name), nameof(name)),
    };

    private static string Unknown(string name) => $"There is no connector '{name}'. Known: {string.Join(", ", Names)}.";
}
