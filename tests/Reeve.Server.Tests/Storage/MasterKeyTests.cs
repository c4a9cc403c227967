using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Storage;

public sealed class MasterKeyTests : IDisposable
{
    private const string Given = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    private readonly string _folder = TestServer.NewFolder();

    private string KeyPath => Path.Combine(_folder, MasterKey.FileName);

    [Fact]
    public void Load_InANewFolder_MakesAKeyForItsOwnerAloneAndFindsItAgain()
    {
        var made = MasterKey.Load(_folder, null, dataExists: false);
        var found = MasterKey.Load(_folder, null, dataExists: true);

        Assert.Equal(made.Derive("receipts"), found.Derive("receipts"));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(KeyPath));
        }
    }

    [Fact]
    public void Load_AfterAStartThatWasKilledWhileItMadeTheKey_MakesOne()
    {
        File.WriteAllText(KeyPath + ".partial", "AAEC");

        var made = MasterKey.Load(_folder, null, dataExists: false);

        Assert.Equal(made.Derive("receipts"), MasterKey.Load(_folder, null, dataExists: true).Derive("receipts"));
        Assert.Equal([KeyPath], Directory.GetFiles(_folder));
    }

    [Fact]
    public void Load_FromTheEnvironment_MakesNoFile()
    {
        MasterKey.Load(_folder, Given, dataExists: false);

        Assert.False(File.Exists(KeyPath));
    }

    [Fact]
    public void Derive_Purposes_GivesEachItsOwnKeyForEver()
    {
        var master = MasterKey.Load(_folder, Given, dataExists: false);

        // By an independent HKDF-SHA-256 without salt, info "reeve/api-key-pepper".
        Assert.Equal("deec2e91de3909a8b8f9fbe112f0cda02a0a056088a40a026d55e34632a20f4e",
            Convert.ToHexStringLower(master.Derive("api-key-pepper")));
        Assert.NotEqual(master.Derive("api-key-pepper"), master.Derive("receipts"));
    }

    [Theory]
    [InlineData("AAECAwQFBgcICQoLDA0ODw==")]
    [InlineData("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISI=")]
    [InlineData("not base64")]
    public void Load_WrongLength_SaysWhatIsNeeded(string key)
    {
        File.WriteAllText(KeyPath, key);

        Assert.Equal("REEVE_MASTER_KEY must be 32 bytes in base64.",
            Assert.Throws<StartException>(() => MasterKey.Load(_folder, key, dataExists: false)).Message);
        Assert.Equal($"{KeyPath} must hold 32 bytes in base64.",
            Assert.Throws<StartException>(() => MasterKey.Load(_folder, null, dataExists: false)).Message);
    }

    [Fact]
    public void Load_MissingWhileDataExists_RefusesInsteadOfMakingAnother()
    {
        var error = Assert.Throws<StartException>(() => MasterKey.Load(_folder, null, dataExists: true));

        Assert.Contains("put the file back", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(KeyPath));
    }

    [Fact]
    public async Task Start_WithAnotherMasterKey_IsRefused()
    {
        await (await TestServer.StartAsync(folder: _folder)).StopAsync();

        var error = await Assert.ThrowsAsync<StartException>(
            () => TestServer.StartAsync(folder: _folder, masterKey: Given));

        Assert.StartsWith("The data folder was made with another master key", error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
