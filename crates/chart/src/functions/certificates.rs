//! Keys and certificates, made from the injected source only.

use std::rc::Rc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};

use super::arguments::{any, int, text};
use super::encoding::decode64;
use super::keys::{Key, SourceRng};
use super::random::source;
use crate::random::Randomness;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::format;
use crate::template::object::{Field, Object, Struct, no_methods};
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

const RSA_BITS: usize = 2048;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("genPrivateKey", &[Ty::Str], |call, args| {
        let source = source(call, "genPrivateKey")?;
        let key = match &*text(args, 0) {
            "" | "rsa" => Key::rsa(source, 4096),
            "ecdsa" => Ok(Key::ecdsa(source)),
            "ed25519" => Ok(Key::ed25519(source)),
            "dsa" => Err("DSA keys are not made any more; choose rsa, ecdsa or ed25519".to_owned()),
            other => return Ok(format!("Unknown type {other}").into()),
        };
        match key.and_then(|key| key.pem()) {
            Ok(pem) => Ok(pem.into()),
            Err(error) => Ok(format!("failed to generate private key: {error}").into()),
        }
    }),
    fixed("genCA", &[Ty::Str, Ty::Int], |call, args| {
        let key = new_key(source(call, "genCA")?)?;
        make(
            call,
            "genCA",
            Request {
                ca: true,
                ..Request::new(&text(args, 0), int(args, 1))
            },
            &key,
            None,
        )
    }),
    fixed("genCAWithKey", &[Ty::Str, Ty::Int, Ty::Str], |call, args| {
        let key =
            read_key(&text(args, 2)).map_err(|error| Fault::new(format!("parsing private key: {error}")))?;
        make(
            call,
            "genCAWithKey",
            Request {
                ca: true,
                ..Request::new(&text(args, 0), int(args, 1))
            },
            &key,
            None,
        )
    }),
    fixed(
        "genSelfSignedCert",
        &[Ty::Str, Ty::List, Ty::List, Ty::Int],
        |call, args| {
            let key = new_key(source(call, "genSelfSignedCert")?)?;
            make(call, "genSelfSignedCert", Request::named(args)?, &key, None)
        },
    ),
    fixed(
        "genSelfSignedCertWithKey",
        &[Ty::Str, Ty::List, Ty::List, Ty::Int, Ty::Str],
        |call, args| {
            let key = read_key(&text(args, 4))
                .map_err(|error| Fault::new(format!("parsing private key: {error}")))?;
            make(
                call,
                "genSelfSignedCertWithKey",
                Request::named(args)?,
                &key,
                None,
            )
        },
    ),
    fixed(
        "genSignedCert",
        &[Ty::Str, Ty::List, Ty::List, Ty::Int, Ty::Certificate],
        |call, args| {
            let key = new_key(source(call, "genSignedCert")?)?;
            make(
                call,
                "genSignedCert",
                Request::named(args)?,
                &key,
                Some(any(args, 4)),
            )
        },
    ),
    fixed(
        "genSignedCertWithKey",
        &[Ty::Str, Ty::List, Ty::List, Ty::Int, Ty::Certificate, Ty::Str],
        |call, args| {
            let key = read_key(&text(args, 5))
                .map_err(|error| Fault::new(format!("parsing private key: {error}")))?;
            make(
                call,
                "genSignedCertWithKey",
                Request::named(args)?,
                &key,
                Some(any(args, 4)),
            )
        },
    ),
    fixed("buildCustomCert", &[Ty::Str, Ty::Str], build_custom),
];

struct Request {
    name: String,
    days: i64,
    ca: bool,
    alternatives: Vec<SanType>,
}

impl Request {
    fn new(name: &str, days: i64) -> Self {
        Self {
            name: name.to_owned(),
            days,
            ca: false,
            alternatives: Vec::new(),
        }
    }

    /// From the arguments name, addresses, host names, days.
    fn named(args: &[Value]) -> Result<Self, Fault> {
        let mut request = Self::new(&text(args, 0), int(args, 3));
        for ip in any(args, 1).elements().unwrap_or_default() {
            let Value::Str(ip) = &ip else {
                return Err(format!("error parsing ip: {} is not a string", format::display(&ip)).into());
            };
            let address = ip
                .parse()
                .map_err(|_| Fault::new(format!("error parsing ip: {ip}")))?;
            request.alternatives.push(SanType::IpAddress(address));
        }
        for host in any(args, 2).elements().unwrap_or_default() {
            let Value::Str(host) = &host else {
                let shown = format::display(&host);
                return Err(format!("error processing alternate dns name: {shown} is not a string").into());
            };
            let host = (&**host)
                .try_into()
                .map_err(|_| Fault::new("x509: the host name is not ASCII"))?;
            request.alternatives.push(SanType::DnsName(host));
        }
        Ok(request)
    }
}

fn new_key(source: &dyn Randomness) -> Result<Key, Fault> {
    Key::rsa(source, RSA_BITS).map_err(|error| Fault::new(format!("error generating rsa key: {error}")))
}

fn read_key(pem: &str) -> Result<Key, String> {
    Key::from_pem(pem)
}

fn make(
    call: &Call<'_, '_>,
    function: &'static str,
    request: Request,
    key: &Key,
    signer: Option<&Value>,
) -> Result<Value, Fault> {
    let source = source(call, function)?;
    let failed = |error: rcgen::Error| Fault::new(format!("error creating certificate: {error}"));
    let mut serial = [0_u8; 16];
    rand_core::RngCore::fill_bytes(&mut SourceRng(source), &mut serial);
    serial[0] &= 0x7F;
    let (now, _) = source.now();
    let moment = |seconds: i64| {
        time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Fault::new("the time is out of range"))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, request.name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = moment(now)?;
    params.not_after = moment(now.saturating_add(request.days.saturating_mul(86_400)))?;
    params.subject_alt_names = request.alternatives;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    if request.ca {
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = match signer {
        None => params.self_signed(key).map_err(failed)?,
        Some(signer) => {
            let (cert, pem) = match signer {
                Value::Object(object) => object.certificate(),
                _ => None,
            }
            .ok_or_else(|| Fault::new("unable to decode certificate"))?;
            let signer_key =
                read_key(&pem).map_err(|error| Fault::new(format!("error parsing private key: {error}")))?;
            let issuer = Issuer::from_ca_cert_pem(&cert, signer_key).map_err(|error| {
                Fault::new(format!(
                    "error parsing certificate: decodedSignerCert.Bytes: {error}"
                ))
            })?;
            params.use_authority_key_identifier_extension = true;
            params.signed_by(key, &issuer).map_err(failed)?
        }
    };
    let key = key
        .pem()
        .map_err(|error| Fault::new(format!("error pem-encoding key: {error}")))?;
    Ok(value(&certificate.pem().replace("\r\n", "\n"), &key))
}

fn build_custom(_: &Call<'_, '_>, args: &[Value]) -> Result<Value, Fault> {
    let decode = |index: usize, what: &str| -> Result<String, Fault> {
        decode64(text(args, index).as_bytes())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Fault::new(format!("unable to decode base64 {what}")))
    };
    let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
    if !cert.contains("-----BEGIN CERTIFICATE-----") {
        return Err("unable to decode certificate".into());
    }
    let checked =
        read_key(&key).map_err(|error| Fault::new(format!("error parsing private key: {error}")))?;
    Issuer::from_ca_cert_pem(&cert, checked)
        .map_err(|error| Fault::new(format!("error parsing certificate: decodedCert.Bytes: {error}")))?;
    Ok(value(&cert, &key))
}

/// Sprig's certificate struct.
struct Certificate(Struct);

fn value(cert: &str, key: &str) -> Value {
    let field = |name, text: &str| Field {
        name,
        json: Some(name),
        omit_empty: false,
        value: text.into(),
    };
    Value::Object(Rc::new(Certificate(Struct {
        type_name: "sprig.certificate",
        pointer: false,
        fields: vec![field("Cert", cert), field("Key", key)],
        text: None,
        methods: no_methods,
    })))
}

impl Object for Certificate {
    fn type_name(&self) -> &str {
        self.0.type_name()
    }

    fn kind_name(&self) -> &'static str {
        self.0.kind_name()
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.field(name)
    }

    fn text(&self) -> String {
        self.0.text()
    }

    fn json(&self) -> Value {
        self.0.json()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        self.0.json_fields()
    }

    fn certificate(&self) -> Option<(String, String)> {
        let part = |name| match self.0.field(name) {
            Some(Value::Str(text)) => text.to_string(),
            _ => String::new(),
        };
        Some((part("Cert"), part("Key")))
    }
}
