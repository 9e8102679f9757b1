using System.Reflection;

namespace Mooring;

/// <summary>The version of this build.</summary>
internal static class MooringVersion
{
    public static string Current { get; } =
        typeof(MooringVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
}
