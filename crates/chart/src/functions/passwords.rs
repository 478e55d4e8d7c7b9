//! Password hashes, derived passwords and encryption.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;

use super::arguments::{any, bytes, text};
use super::encoding::decode64;
use super::random::source;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

/// The cost that Go's library calls its default.
const BCRYPT_COST: u32 = 10;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("bcrypt", &[Ty::Str], |call, args| {
        bcrypt_hash(call, "bcrypt", bytes(args, 0)).map(Value::from)
    }),
    fixed("htpasswd", &[Ty::Str, Ty::Str], |call, args| {
        let user = text(args, 0);
        if user.contains(':') {
            return Ok(format!("invalid username: {user}").into());
        }
        Ok(format!("{user}:{}", bcrypt_hash(call, "htpasswd", bytes(args, 1))?).into())
    }),
    fixed(
        "derivePassword",
        &[Ty::Uint32, Ty::Str, Ty::Str, Ty::Str, Ty::Str],
        derive_password,
    ),
    fixed("encryptAES", &[Ty::Str, Ty::Str], |call, args| {
        let plain = bytes(args, 1);
        if plain.is_empty() {
            return Ok("".into());
        }
        let mut iv = [0; 16];
        source(call, "encryptAES")?.fill(&mut iv);
        let cipher = cbc::Encryptor::<aes::Aes256>::new(&aes_key(bytes(args, 0)).into(), &iv.into());
        let sealed = cipher.encrypt_padded_vec_mut::<Pkcs7>(plain);
        Ok(STANDARD.encode([iv.as_slice(), &sealed].concat()).into())
    }),
    fixed("decryptAES", &[Ty::Str, Ty::Str], |_, args| {
        let sealed = bytes(args, 1);
        if sealed.is_empty() {
            return Ok("".into());
        }
        let sealed =
            decode64(sealed).map_err(|at| Fault::new(format!("illegal base64 data at input byte {at}")))?;
        let broken = || Fault::new("the text was not encrypted with this password, or it is cut off");
        let (iv, body) = sealed.split_at_checked(16).ok_or_else(broken)?;
        let iv: [u8; 16] = iv.try_into().map_err(|_| broken())?;
        let cipher = cbc::Decryptor::<aes::Aes256>::new(&aes_key(bytes(args, 0)).into(), &iv.into());
        let plain = cipher
            .decrypt_padded_vec_mut::<Pkcs7>(body)
            .map_err(|_| broken())?;
        Ok(Value::string_from_bytes(plain))
    }),
];

/// Sprig cuts or fills the password to the length of a key.
fn aes_key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(32);
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn bcrypt_hash(call: &Call<'_, '_>, function: &'static str, password: &[u8]) -> Result<String, Fault> {
    let mut salt = [0; 16];
    source(call, function)?.fill(&mut salt);
    if password.len() > 72 {
        return Ok(
            "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".to_owned(),
        );
    }
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => Ok(parts.format_for_version(bcrypt::Version::TwoA)),
        Err(error) => Ok(format!("failed to encrypt string with bcrypt: {error}")),
    }
}

fn template(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn alphabet(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm.
fn derive_password(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    const SCOPE: &[u8] = b"com.lyndir.masterpassword";
    let Value::Int(counter, _) = any(args, 0) else {
        return Err("the counter is no number".into());
    };
    let counter = u32::try_from(*counter).unwrap_or(0);
    let (class, password, user, site) = (text(args, 1), bytes(args, 2), bytes(args, 3), bytes(args, 4));
    let Some(templates) = template(&class) else {
        return Ok(format!("cannot find password template {class}").into());
    };
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SCOPE, &length(user), user].concat();
    let mut key = [0; 64];
    let params = scrypt::Params::new(15, 8, 2, 64).map_err(|error| Fault::new(error.to_string()))?;
    scrypt::scrypt(password, &salt, &params, &mut key).map_err(|error| Fault::new(error.to_string()))?;
    let mut mac =
        hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).map_err(|error| Fault::new(error.to_string()))?;
    mac.update(&[SCOPE, &length(site), site, &counter.to_be_bytes()].concat());
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let out: String = template
        .bytes()
        .zip(seed.iter().skip(1))
        .map(|(letter, byte)| {
            let alphabet = alphabet(letter);
            char::from(alphabet[usize::from(*byte) % alphabet.len()])
        })
        .collect();
    Ok(out.into())
}
