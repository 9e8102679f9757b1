using Mooring.Auth;
using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>Who may come in.</summary>
public abstract partial class StoreContractTests
{
    private static readonly DateTimeOffset Now = FakeClock.Start;

    private protected virtual IAuthStore Auth => (IAuthStore)_store;

    [Fact]
    public async Task AddAuth_EveryField_ComesBackUnchanged()
    {
        var full = Row("full") with { Grant = "g", Data = Utf8("""{"a":"Ünï 🚢"}"""), Expires = DateTimeOffset.MaxValue };
        await Auth.AddAuthAsync(Row("g", AuthKind.Grant));

        Assert.True(await Auth.AddAuthAsync(full));

        Assert.Equal(DescribeRow(full), DescribeRow(await Auth.FindAuthAsync(full.Kind, "full", Now, Cancel)));
    }

    [Fact]
    public async Task AddAuth_ThereIsOneOfThatKindAndKey_ChangesNothing()
    {
        await Auth.AddAuthAsync(Row("k"));

        Assert.False(await Auth.AddAuthAsync(Row("k") with { Data = Utf8("other") }));
        Assert.True(await Auth.AddAuthAsync(Row("k", AuthKind.Client)));
        Assert.True(await Auth.AddAuthAsync(Row("K")));

        Assert.Equal(DescribeRow(Row("k")), DescribeRow(await Auth.FindAuthAsync(AuthKind.AccessToken, "k", Now, Cancel)));
    }

    [Fact]
    public async Task FindAuth_UnknownOfAnotherKindOrExpired_IsNull()
    {
        await Auth.AddAuthAsync(Row("k"));

        Assert.Null(await Auth.FindAuthAsync(AuthKind.AccessToken, "other", Now, Cancel));
        Assert.Null(await Auth.FindAuthAsync(AuthKind.RefreshToken, "k", Now, Cancel));
        Assert.Null(await Auth.FindAuthAsync(AuthKind.AccessToken, "k", Row("k").Expires, Cancel));
        Assert.NotNull(await Auth.FindAuthAsync(AuthKind.AccessToken, "k", Row("k").Expires - TimeSpan.FromTicks(1), Cancel));
    }

    [Fact]
    public async Task FindAuth_ManyAtOnce_EachIsToldOfItsOwn()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Auth.AddAuthAsync(Row($"k{i}", i % 2 == 0 ? AuthKind.AccessToken : AuthKind.ApiKey))));

        var found = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Task.Run(
            async () => (Asked: $"k{i % 100}", Found: (await Auth.FindAuthAsync(AuthKind.AccessToken, $"k{i % 100}", i < 100 ? Now : Row("k").Expires, Cancel))?.Key))));

        for (var i = 0; i < found.Length; i++)
        {
            Assert.Equal(i < 50 && i % 2 == 0 ? found[i].Asked : null, found[i].Found);
        }
    }

    [Fact]
    public async Task UseAuth_ManyAtOnce_OneIsTheFirst()
    {
        const int users = 8;
        await Auth.AddAuthAsync(Row("code", AuthKind.Code));

        using var start = new Barrier(users);
        var uses = await Task.WhenAll(Enumerable.Range(0, users).Select(i => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return Auth.UseAuthAsync(AuthKind.Code, "code", Now + TimeSpan.FromSeconds(i));
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));

        var first = Assert.Single(uses, use => use!.Used is null);
        Assert.Equal(DescribeRow(Row("code", AuthKind.Code)), DescribeRow(first));
        Assert.Single(uses.Where(use => use!.Used is not null).Select(use => use!.Used).Distinct());
        Assert.NotNull((await Auth.FindAuthAsync(AuthKind.Code, "code", Now, Cancel))!.Used);
    }

    [Fact]
    public async Task UseAuth_UnknownOrExpired_IsNullAndUsesNothing()
    {
        await Auth.AddAuthAsync(Row("code", AuthKind.Code));

        Assert.Null(await Auth.UseAuthAsync(AuthKind.Code, "other", Now));
        Assert.Null(await Auth.UseAuthAsync(AuthKind.Code, "code", Row("code").Expires));
        Assert.Null((await Auth.UseAuthAsync(AuthKind.Code, "code", Now))!.Used);
    }

    [Fact]
    public async Task RemoveAuth_OfAGrant_TakesAwayAllThatNamesIt_AlsoWhatIsAddedLater()
    {
        await Auth.AddAuthAsync(Row("g", AuthKind.Grant));
        await Auth.AddAuthAsync(Row("before") with { Grant = "g" });
        await Auth.AddAuthAsync(Row("another") with { Grant = null });

        Assert.True(await Auth.RemoveAuthAsync(AuthKind.Grant, "g"));
        await Auth.AddAuthAsync(Row("after") with { Grant = "g" });

        Assert.Null(await Auth.FindAuthAsync(AuthKind.AccessToken, "before", Now, Cancel));
        Assert.Null(await Auth.FindAuthAsync(AuthKind.AccessToken, "after", Now, Cancel));
        Assert.Null(await Auth.UseAuthAsync(AuthKind.AccessToken, "before", Now));
        Assert.NotNull(await Auth.FindAuthAsync(AuthKind.AccessToken, "another", Now, Cancel));
        Assert.False(await Auth.RemoveAuthAsync(AuthKind.Grant, "g"));
    }

    [Fact]
    public async Task Holdings_OfAPerson_AreTakenAwayWithAllThatNamesThem_ByAddressAlsoWhereARowLacksIt()
    {
        var ann = new Person("https://id.example", "1", Email: "ann@example.com");
        await Auth.AddAuthAsync(Row("grant-of-ann-1", AuthKind.Grant) with { Data = AuthJson.Write(new GrantData(ann, "client", "Editor")) });
        await Auth.AddAuthAsync(Row("grant-of-ann-2", AuthKind.Grant) with { Data = AuthJson.Write(new GrantData(ann with { Email = null }, "client", null)) });
        await Auth.AddAuthAsync(Row("browser-of-ann", AuthKind.Browser) with { Data = AuthJson.Write(new BrowserData(ann)) });
        await Auth.AddAuthAsync(Row("grant-of-ben", AuthKind.Grant) with { Data = AuthJson.Write(new GrantData(ann with { Subject = "2", Email = "ben@example.com" }, "client", null)) });
        await Auth.AddAuthAsync(Row("anns") with { Grant = "grant-of-ann-2" });
        await Auth.AddAuthAsync(Row("bens") with { Grant = "grant-of-ben" });
        var holdings = new Holdings(Auth, new FakeClock());
        Assert.Equal(3, (await holdings.ListAsync("ann@example.com", Cancel)).Count);

        var gone = await holdings.RevokeAllAsync("ann@example.com", Cancel);

        Assert.Equal(["browser-of-a", "grant-of-ann", "grant-of-ann"], gone.Select(held => held.Id));
        Assert.Null(await Auth.FindAuthAsync(AuthKind.AccessToken, "anns", Now, Cancel));
        Assert.Null(await Auth.FindAuthAsync(AuthKind.Browser, "browser-of-ann", Now, Cancel));
        Assert.NotNull(await Auth.FindAuthAsync(AuthKind.AccessToken, "bens", Now, Cancel));
        Assert.Equal(["grant-of-ben"], (await holdings.ListAsync(null, Cancel)).Select(held => held.Id));
    }

    [Fact]
    public async Task ExtendAuth_Later_MovesTheEnd_AndEarlierDoesNot()
    {
        await Auth.AddAuthAsync(Row("k"));
        var later = Row("k").Expires + TimeSpan.FromHours(1);

        await Auth.ExtendAuthAsync(AuthKind.AccessToken, "k", later);
        await Auth.ExtendAuthAsync(AuthKind.AccessToken, "k", Now);
        await Auth.ExtendAuthAsync(AuthKind.AccessToken, "nobody", later);

        Assert.Equal(later, (await Auth.FindAuthAsync(AuthKind.AccessToken, "k", Now, Cancel))!.Expires);
        Assert.Equal(1, await Auth.CountAuthAsync(AuthKind.AccessToken, Cancel));
    }

    [Fact]
    public async Task ListAuth_OfAKind_IsInOrder()
    {
        await Auth.AddAuthAsync(Row("b") with { Created = Now - TimeSpan.FromHours(1) });
        await Auth.AddAuthAsync(Row("a"));
        await Auth.AddAuthAsync(Row("c", AuthKind.Client));

        Assert.Equal(["b", "a"], (await Auth.ListAuthAsync(AuthKind.AccessToken, Cancel)).Select(row => row.Key));
        Assert.Equal(2, await Auth.CountAuthAsync(AuthKind.AccessToken, Cancel));
    }

    [Fact]
    public async Task ExpireAuth_DropsWhatIsOver()
    {
        await Auth.AddAuthAsync(Row("k"));
        await Auth.AddAuthAsync(Row("stays") with { Expires = DateTimeOffset.MaxValue });

        await Auth.ExpireAuthAsync(Row("k").Expires + TimeSpan.FromTicks(1));

        Assert.Equal(["stays"], (await Auth.ListAuthAsync(AuthKind.AccessToken, Cancel)).Select(row => row.Key));
    }

    private static AuthRecord Row(string key, AuthKind kind = AuthKind.AccessToken) => new()
    {
        Kind = kind,
        Key = key,
        Data = Utf8("{}"),
        Created = Now,
        Expires = Now + TimeSpan.FromHours(1),
    };

    private static string DescribeRow(AuthRecord? row) => row is null ? "none" : $"{row with { Data = default }} {Text(row.Data)}";
}
