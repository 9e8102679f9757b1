using System.Net;

namespace Mooring.Audit;

/// <summary>Where a request is from. Kept as it came: only what is noted is made to text.</summary>
/// <param name="Credential">As <see cref="AuditEntry.Credential"/>.</param>
/// <param name="Address">The client's, as trusted proxies say it.</param>
internal readonly record struct AuditOrigin(string? Credential, IPAddress? Address);
