using System.Diagnostics.CodeAnalysis;
using Mooring.Configuration;

namespace Mooring.Host.Cli;

/// <summary>Where the verbs that talk to a running gateway find it.</summary>
internal static class GatewayAddress
{
    /// <summary>The address a person gave; false when it is none.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out Uri? address) =>
        Uri.TryCreate(text.EndsWith('/') ? text : text + "/", UriKind.Absolute, out address)
        && address.Scheme is "http" or "https" && address.Query.Length == 0 && address.Fragment.Length == 0;

    /// <summary>The first of the addresses a gateway with this configuration listens on that this machine's programs can use.</summary>
    /// <returns>Null where the system chooses the port, which the configuration cannot tell.</returns>
    public static Uri? Of(MooringConfig config)
    {
        ListenAddress? first = null;
        foreach (var text in config.Listen)
        {
            if (ListenAddress.TryParse(text, out var address) && address.Port != 0 && (first is null || (IsLocal(address) && !IsLocal(first))))
            {
                first = address;
            }
        }

        if (first is null)
        {
            return null;
        }

        var host = first.Address is { } ip && !IsAny(first) ? ip.ToString() : "127.0.0.1";
        return new UriBuilder(first.Secure ? "https" : "http", host, first.Port).Uri;
    }

    private static bool IsLocal(ListenAddress address) => address.IsLoopback || IsAny(address);

    private static bool IsAny(ListenAddress address) =>
        System.Net.IPAddress.Any.Equals(address.Address) || System.Net.IPAddress.IPv6Any.Equals(address.Address);
}
