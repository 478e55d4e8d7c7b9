//! Who is paid what: everything of a run that is decided before the first call.

use crate::amount::Amount;
use crate::options::Options;
use crate::ports::Random;

/// Everything that a run makes begins with this.
pub(crate) const PREFIX: &str = "OPENG2P-VERIFY-";
/// The first amount and the steps, in hundredths: no two are alike, and most have a part after the point.
const FIRST: i64 = 10_000;
const STEP: i64 = 125;

/// One beneficiary to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payee {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) financial_address: String,
    pub(crate) amount: Amount,
}

/// A run's own names and its payees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) run: String,
    pub(crate) programme: String,
    pub(crate) payees: Vec<Payee>,
}

impl Plan {
    pub(crate) fn new(options: &Options, random: &dyn Random) -> Self {
        let run = word(random);
        let payees = amounts(options.beneficiaries)
            .into_iter()
            .enumerate()
            .map(|(index, amount)| payee(options, &run, index, amount))
            .collect();
        Self {
            programme: format!("{PREFIX}{run}"),
            run,
            payees,
        }
    }

    pub(crate) fn total(&self) -> Amount {
        self.payees.iter().map(|payee| payee.amount).sum()
    }
}

fn payee(options: &Options, run: &str, index: usize, amount: Amount) -> Payee {
    let id = format!("{PREFIX}{run}-{index:04}");
    // Telephone and mail are unique in the Example Bank, so each account has its own.
    let financial_address = format!(
        "account_number:{id}.branch_code:{branch}.bank_code:{bank}.mobile_number:{run}{index:04}\
         .email_address:{run}-{index:04}@openg2p-verify.invalid.fa_type:BANK_ACCOUNT",
        branch = "OPENG2P",
        bank = options.beneficiary_bank_code,
    );
    Payee {
        name: format!("Test beneficiary {index:04}"),
        account: id.clone(),
        id,
        financial_address,
        amount,
    }
}

/// Different amounts whose sum is whole: the Bridge keeps an envelope's total as a whole number.
fn amounts(count: u32) -> Vec<Amount> {
    let mut hundredths: Vec<i64> = (0..i64::from(count)).map(|index| FIRST + index * STEP).collect();
    let over = hundredths.iter().sum::<i64>() % 100;
    if over != 0
        && let Some(last) = hundredths.last_mut()
    {
        *last += 100 - over;
    }
    hundredths.into_iter().map(Amount::from_hundredths).collect()
}

/// Eight letters and digits that nobody confuses (Crockford's base 32 of 40 random bits).
fn word(random: &dyn Random) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
        .collect()
}

/// A random identifier in the form of a UUID (version 4).
pub(crate) fn uuid(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf000_u128 << 64) | (0x4000_u128 << 64);
    let number = number & !(0xc000_u128 << 48) | (0x8000_u128 << 48);
    let text = format!("{number:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Hosts;
    use std::collections::HashSet;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(37, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn amounts_differ_and_their_sum_is_whole() {
        for count in [1, 2, 3, 4, 5, 20, 999, 1000] {
            let all = amounts(count);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), count as usize);
            assert_eq!(
                all.iter().copied().sum::<Amount>().hundredths() % 100,
                0,
                "{count}"
            );
            assert!(all.iter().all(|amount| amount.hundredths() > 0));
        }
    }

    #[test]
    fn everything_of_a_run_bears_its_mark() {
        let options = Options::new(
            "dev",
            Hosts {
                spar: "s".into(),
                bridge: "b".into(),
            },
        );
        let plan = Plan::new(&options, &Counting(0.into()));
        assert_eq!(plan.payees.len(), 20);
        assert!(plan.programme.starts_with(PREFIX) && plan.programme.ends_with(&plan.run));
        for payee in &plan.payees {
            assert!(payee.id.starts_with(&plan.programme), "{payee:?}");
            // The Bridge takes the address apart at these words, from left to right, with greedy patterns.
            assert_eq!(payee.financial_address.matches(".bank_code:").count(), 1);
        }
    }

    #[test]
    fn identifiers_have_the_form_of_version_4() {
        let made = uuid(&Counting(0.into()));
        assert_eq!(made.len(), 36);
        assert_eq!(&made[14..15], "4");
        assert!("89ab".contains(&made[19..20]), "{made}");
    }
}
