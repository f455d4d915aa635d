"""What each state of a QR login means to its owner, in Chinese and English."""

from __future__ import annotations

from shoal.connection.qr_logins import QrLoginState

QR_WORDS: dict[QrLoginState, tuple[str, str]] = {
    QrLoginState.WAITING: ("请用闲鱼 App 扫码。", "Scan the code with the Xianyu app."),
    QrLoginState.SCANNED: ("已扫码，请在手机上确认。", "Scanned; confirm it on the phone."),
    QrLoginState.DONE: ("登录成功，账号已使用新的 Cookie。", "Done: the account has the new cookie."),
    QrLoginState.EXPIRED: ("二维码已过期，请重新获取。", "The code has expired; begin another login."),
    QrLoginState.CANCELLED: ("登录已取消。", "The login was cancelled."),
    QrLoginState.NEEDS_OWNER: (
        "闲鱼要求验证（风控）。请打开所给地址完成验证，然后重新扫码。",
        "The site asks for a verification (risk control). Open the address and pass it, then begin another login.",
    ),
    QrLoginState.FAILED: ("登录失败。", "The login failed."),
}
